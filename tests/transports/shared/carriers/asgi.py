"""WebSockets over the ASGI servers."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace

from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin, Subprotocol

from tests.support.framed import over_http2
from tests.transports.shared.carrier import Carrier, Refused, Site, Wire

APPLICATION = "tests.transports.shared.site.asgi:application"

NO_BACK_PRESSURE = "it takes whatever it is given, and keeps what its peer does not read"


@asynccontextmanager
async def open_websocket(
    site: Site,
    *,
    subprotocol: str | None,
    origin: str | None,
    headers: Mapping[str, str],
    path: str,
) -> AsyncIterator[Wire]:
    try:
        # Another Host than that of the address, where a test wants one.
        async with connect(
            f"ws://{headers.get('Host', site.address)}{path}",
            host="127.0.0.1",
            port=site.port,
            subprotocols=None if subprotocol is None else [Subprotocol(subprotocol)],
            origin=None if origin is None else Origin(origin),
            additional_headers={k: v for k, v in headers.items() if k != "Host"},
            user_agent_header=headers.get("User-Agent"),
            compression=None,
            max_size=None,
            ping_interval=None,
            proxy=None,
        ) as socket:
            yield socket
    except InvalidStatus as error:
        response = error.response
        raise Refused(response.status_code, response.headers.get("retry-after")) from None


def of_uvicorn(name: str, title: str, *options: str) -> Carrier:
    return Carrier(
        name=name,
        title=title,
        command=lambda port: (
            *("-m", "uvicorn", "--host", "127.0.0.1", "--port", str(port)),
            *("--log-level", "warning", *options, APPLICATION),
        ),
        open=open_websocket,
        exit_code=-signal.SIGTERM,
    )


def at(port: int) -> tuple[str, str]:
    return "--bind", f"127.0.0.1:{port}"


@asynccontextmanager
async def open_over_http2(
    site: Site,
    *,
    subprotocol: str | None,
    origin: str | None,
    headers: Mapping[str, str],
    path: str,
) -> AsyncIterator[Wire]:
    sent = dict(headers) if origin is None else {**headers, "Origin": origin}
    async with over_http2(site.port, path, subprotocol, sent) as wire:
        yield wire


HYPERCORN = Carrier(
    name="hypercorn",
    title="hypercorn",
    command=lambda port: (
        *("-m", "hypercorn", *at(port), "--log-level", "warning"),
        *("--graceful-timeout", "30", APPLICATION),
    ),
    open=open_websocket,
    listens=False,  # its worker hears of the end when it has begun
)

CARRIERS = (
    of_uvicorn("uvicorn", "uvicorn (websockets)", "--ws", "websockets-sansio"),
    of_uvicorn("uvicorn-wsproto", "uvicorn (wsproto)", "--ws", "wsproto"),
    HYPERCORN,
    replace(
        HYPERCORN,
        name="hypercorn-http2",
        title="hypercorn, HTTP/2",
        open=open_over_http2,
        lacks={"back-pressure": NO_BACK_PRESSURE},
    ),
    Carrier(
        name="daphne",
        title="daphne",
        command=lambda port: (
            *("-m", "daphne", "--bind", "127.0.0.1", "--port", str(port)),
            *("--verbosity", "0", APPLICATION),
        ),
        open=open_websocket,
        lacks={
            "status": "it can't answer a handshake by HTTP: the connection is opened, and closed at once",
            "back-pressure": NO_BACK_PRESSURE,
            "large": "its WebSocket library sends no more than 1 MiB in a frame: the connection is closed (4105)",
        },
        complains=("autobahn.exception.PayloadExceededError",),
    ),
    Carrier(
        name="granian",
        title="granian",
        command=lambda port: (
            *("-m", "granian", "--interface", "asgi", "--log-level", "warning"),
            *("--host", "127.0.0.1", "--port", str(port), APPLICATION),
        ),
        open=open_websocket,
    ),
)
