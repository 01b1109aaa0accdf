"""The project's requests as a consumer of `Channels <https://channels.readthedocs.io>`_, beside a project's own ones.

::

    application = ProtocolTypeRouter({
        "http": get_asgi_application(),
        "websocket": AllowedHostsOriginValidator(AuthMiddlewareStack(URLRouter([
            path("ws/", WebSocketRequestConsumer.as_asgi()),
        ]))),
    })
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from channels.consumer import AsyncConsumer
from channels.exceptions import DenyConnection, InvalidChannelLayerError, StopConsumer
from channels.layers import get_channel_layer

from wsrequest.transports.http import Message, Receive, Send
from wsrequest.transports.scope import Scope, accept

if TYPE_CHECKING:
    from wsrequest.session.session import Session

#: The project's own word, after the handshake.
DENIED = 4003

#: What a server says of a connection whose application has failed (RFC 6455, 7.4.1).
FAILED = 1011


class WebSocketRequestConsumer(AsyncConsumer):  # type: ignore[misc]  # it has no types
    """A connection at which each message is a request, as at ``WSREQUEST["PATH"]``, wherever a ``URLRouter`` has it.

    What Channels' middleware has put into the scope is ``request.websocket.state["scope"]``; nothing of it says who a
    request is from: the project's own middleware does, for each message anew.

    A subclass may have ``groups``, and handlers for what comes over the channel layer, as any consumer has. They run
    one after the other, beside the requests, and tell the client something by :meth:`notify`. One that raises ends the
    connection (1011).
    """

    #: The channel layer's groups whose messages the handlers are to have.
    groups: Iterable[str] = ()
    channel_layer: Any = None
    channel_name: str
    scope: Scope
    session: Session

    async def connect(self) -> None:
        """Called when the connection has been accepted, before its first message. ``DenyConnection`` closes it (4003).

        A place for ``self.channel_layer.group_add(name, self.channel_name)``, where the names depend on the scope.
        """

    async def disconnect(self, code: int | None) -> None:
        """Called when the connection is over; ``code`` is what the client closed with, where it did."""

    def notify(self, event: str, data: Any = None) -> bool:
        """Tell this client ``{"event", "data"}``: :meth:`wsrequest.lifecycle.websocket.WebSocket.notify`."""
        return self.session.websocket.notify(event, data)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Not AsyncConsumer.__call__: it takes nothing from the client while a handler is at work.
        self.scope, self.base_send = scope, send
        await receive()  # websocket.connect
        session = await accept(scope, receive, send, state={"scope": scope})
        if session is None:
            return
        self.session = session
        # Nobody can have the channel of a consumer that is not a project's own.
        if type(self) is not WebSocketRequestConsumer:
            self.channel_layer = get_channel_layer(self.channel_layer_alias)
        hearing = None
        try:
            hearing = await self._begin()
            with contextlib.suppress(OSError):  # the client is gone
                await session.run()
        finally:
            session.leave()
            if hearing is not None:
                hearing.cancel()
                await asyncio.wait([hearing])
            await self._end(session.transport.peer_code)
        if hearing is not None and not hearing.cancelled():
            hearing.result()  # raises what a handler has raised: the server logs it

    async def _begin(self) -> asyncio.Task[None] | None:
        if self.channel_layer is not None:
            self.channel_name = await self.channel_layer.new_channel()
        await self._tell_groups("group_add")
        try:
            await self.connect()
        except DenyConnection:
            self.session.close(DENIED)
        if self.channel_layer is None:
            return None
        hearing = asyncio.create_task(self._hear())
        hearing.add_done_callback(self._heard)
        return hearing

    async def _end(self, code: int | None) -> None:
        await self._tell_groups("group_discard")
        await self.disconnect(code)

    async def _tell_groups(self, verb: str) -> None:
        for group in self.groups:
            tell = getattr(self.channel_layer, verb, None)
            if tell is None:
                raise InvalidChannelLayerError("BACKEND is unconfigured or doesn't support groups")
            await tell(group, self.channel_name)

    async def _hear(self) -> None:
        """Hand each message of the channel layer to its handler."""
        with contextlib.suppress(StopConsumer):
            while True:
                message: Message = await self.channel_layer.receive(self.channel_name)
                await self.dispatch(message)

    def _heard(self, hearing: asyncio.Task[None]) -> None:
        if not hearing.cancelled():
            self.session.close(1000 if hearing.exception() is None else FAILED)
