"""Asking the project whether a connection may be opened."""

from __future__ import annotations

import asyncio
import contextvars

from msgspec import UNSET

from wsrequest.conf import Settings
from wsrequest.errors import HandshakeTimedOut, HookRefused
from wsrequest.lifecycle.call import OpeningCall
from wsrequest.lifecycle.cookies import CookieJar
from wsrequest.lifecycle.identity import Identity
from wsrequest.lifecycle.opening import opening_view
from wsrequest.lifecycle.request import RequestFactory
from wsrequest.lifecycle.runner import PoolRunner


async def ask_project(
    factory: RequestFactory,
    jar: CookieJar,
    secure: bool,
    runner: PoolRunner,
    settings: Settings,
) -> Identity:
    """Run the HANDSHAKE hook inside the project's middleware, and learn who it is; where there is neither a hook nor a
    session, nobody is asked. Raises :class:`~wsrequest.errors.HookRefused` or
    :class:`~wsrequest.errors.HandshakeTimedOut`."""
    view = opening_view(settings.handshake, jar)
    if view is None:
        return UNSET
    call = OpeningCall(factory, jar.header_for(factory.handshake.path, secure=secure), view)
    try:
        async with asyncio.timeout(settings.handshake_timeout):
            reply = await runner.answer(call, contextvars.copy_context())
    except TimeoutError:
        raise HandshakeTimedOut from None
    if settings.handshake is not None and not 200 <= reply.status < 300:
        raise HookRefused(reply.status)
    if reply.set_cookies is not None:
        jar.update(reply.set_cookies)
    return reply.identity
