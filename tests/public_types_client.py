"""What type checkers make of the client, as a user writes it: `make types` checks this, nothing runs it."""

from __future__ import annotations

from typing import Any, assert_type

import httpx

from wsrequest.client import (
    Connection,
    Event,
    Position,
    SyncWebSocketTransport,
    WebSocketTransport,
    connect,
    connect_sync,
)


async def client_of(token: str) -> None:
    transport = WebSocketTransport("ws://host/ws/", token=token, codec="msgpack")
    async with httpx.AsyncClient(transport=transport, base_url=transport.base_url) as client:
        assert_type(await client.get("/"), httpx.Response)
    async with connect("ws://host/ws/", token=lambda: token) as connection:
        assert_type(connection, Connection)
        async with connection.subscribe("/", since=Position("e", 1), presence=True) as events:
            async for event in events:
                assert_type(event, Event)
            assert_type(events.position, Position | None)
        async with connection.live("/") as states:
            async for state in states:
                assert_type(state, Any)
        async for notice in connection.notices():
            assert_type(notice.event, str)


def client_without_a_loop() -> None:
    transport = SyncWebSocketTransport("ws://host/ws/", origin="http://host")
    with httpx.Client(transport=transport, base_url=transport.base_url) as client:
        assert_type(client.get("/"), httpx.Response)
    with connect_sync("ws://host/ws/") as connection, connection.subscribe("/") as events:
        for event in events:
            assert_type(event, Event)
