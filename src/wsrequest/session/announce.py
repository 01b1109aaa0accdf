"""Telling the log, the observer and the receivers of the signals that a connection was opened, and that it is gone."""

from __future__ import annotations

import asyncio
from typing import Any

from django.dispatch import Signal

from wsrequest import log
from wsrequest.lifecycle.runner import PoolRunner
from wsrequest.lifecycle.websocket import WebSocket
from wsrequest.session.observer import Observer
from wsrequest.signals import connection_closed, connection_opened


class Announcer:
    """Sends both signals of one connection on threads of the pool, the second when the receivers of the first have
    returned."""

    __slots__ = ("_address", "_observer", "_opening", "_runner", "_since", "_websocket")

    def __init__(
        self,
        runner: PoolRunner,
        websocket: WebSocket,
        address: str | None,
        observer: Observer | None,
    ) -> None:
        self._runner = runner
        self._websocket = websocket
        self._address = address
        self._observer = observer
        self._since = runner.loop.time()
        self._opening: asyncio.Task[None] | None = None

    async def opened(self, subprotocol: str | None, user: str | None) -> None:
        """Returns when all receivers have heard it. Cancelled, it leaves them to it."""
        log.opened(self._websocket.id, self._address, subprotocol)
        if self._observer is not None:
            self._observer.opened()
        if connection_opened.has_listeners():
            work = self._runner.call(self._send, connection_opened, user=user)
            self._opening = asyncio.create_task(work)
            await asyncio.shield(self._opening)
            self._opening = None

    def closed(self, user: str | None, code: int | None, peer_code: int | None) -> None:
        """``code`` is None where the peer went away, with ``peer_code``. Does not wait for the receivers."""
        if self._observer is not None:
            self._observer.closed(code)
        by_peer = code is None
        seconds = self._runner.loop.time() - self._since
        shown = peer_code if by_peer else code
        log.closed(self._websocket.id, self._address, shown, seconds, by_peer=by_peer)
        if connection_closed.has_listeners():
            if self._opening is None:
                self._send_closed(user, code)
            else:
                self._opening.add_done_callback(lambda _: self._send_closed(user, code))

    def _send_closed(self, user: str | None, code: int | None) -> None:
        self._runner.post(self._send, connection_closed, user=user, code=code)

    def _send(self, signal: Signal, **facts: Any) -> None:
        try:
            signal.send_robust(WebSocket, connection=self._websocket, **facts)
        except BaseException:  # noqa: BLE001 (sys.exit() in a receiver must not end the thread, nor the server)
            log.receiver_failed(self._websocket.id)
