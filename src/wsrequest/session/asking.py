"""The GET by which a subscription's url is asked, as its connection would send it now."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from typing import Any, Protocol

from wsrequest.lifecycle.call import Call
from wsrequest.lifecycle.request import RequestFactory
from wsrequest.lifecycle.response import Reply
from wsrequest.protocol.messages import Request
from wsrequest.session.rerun import Question


class Session(Protocol):
    """The connection."""

    def call(self, message: Request, factory: RequestFactory) -> Call:
        """The message as the lifecycle takes it."""

    def present_factory(self) -> RequestFactory:
        """Which makes requests with the connection's present credentials."""

    async def answer(self, call: Call) -> Reply:
        """Run a call whose answer goes nowhere by itself."""


class Asking:
    """``request`` is the GET; it may take so many seconds."""

    __slots__ = ("_seconds", "_session", "request")

    def __init__(self, session: Session, request: Request, seconds: float) -> None:
        self._session = session
        self.request = request
        self._seconds = seconds

    @property
    def url(self) -> str:
        return self.request.url or ""

    def call(self, subscription: Any = None) -> Call:
        """The GET with the connection's present credentials; ``subscription`` is what its view may name a topic by."""
        call = self._session.call(self.request, self._session.present_factory())
        call.subscription = subscription
        return call

    def question(self) -> Question:
        """The call, and who may share its answer, whatever that turns out to depend on."""
        request, call = self.request, self.call()
        audience = (
            request.url,
            bytes(request.data) if request.data else b"",
            tuple(sorted((request.headers or {}).items())),
            request.token,
            call.cookie,
            call.factory.likeness,
            call.codec.name,
        )
        return Question(audience, lambda: self.ask(call))

    async def ask(self, call: Call) -> Reply:
        """Run such a call; 504 where it takes too long."""
        try:
            async with asyncio.timeout(self._seconds):
                return await self._session.answer(call)
        except TimeoutError:
            return Reply(504, {})


def bearing_of(call: Call) -> Hashable:
    """The credentials of such a call: with equal ones, it is the same call. Its message may have some of its own; it is
    there for as long as the subscription."""
    return call.cookie, call.factory, id(call.message)
