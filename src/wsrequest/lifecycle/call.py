"""What a runner is given: a message, or the handshake itself, with all that it takes to make its request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

from asgiref.sync import iscoroutinefunction
from django.core.exceptions import BadRequest
from django.http import HttpResponse, HttpResponseBadRequest
from django.http.response import HttpResponseBase
from msgspec import UNSET

from wsrequest.errors import MessageError
from wsrequest.lifecycle.identity import Identity, identity_of
from wsrequest.lifecycle.once import Once, once_for
from wsrequest.lifecycle.request import RequestFactory, SocketRequest
from wsrequest.lifecycle.response import Reply, head_of, reply_to
from wsrequest.lifecycle.threads import Lane
from wsrequest.lifecycle.touched import Observed
from wsrequest.lifecycle.views import any_view_is_async, view_is_async
from wsrequest.protocol.codec import Codec
from wsrequest.protocol.json import JSONCodec
from wsrequest.protocol.messages import Request

#: Bytes of a body from which on writing it anew, a millisecond for 100 KB, is left to a thread.
LABORIOUS = 2**16


@dataclass(slots=True)
class Call:
    """A message with all that a runner needs to make its request.

    ``cookie`` is the Cookie header, ``trusted`` says that CSRF need not be checked again, ``omitted`` which response
    headers don't go on the wire, ``codec`` how the response is to be written.
    """

    factory: RequestFactory
    # Neither of these two is for a traceback with local variables.
    message: Request = field(repr=False)
    cookie: str = field(repr=False)
    trusted: bool
    omitted: frozenset[str]
    codec: Codec
    #: Where the connection's requests queue for a thread.
    lane: Lane | None = None
    #: The parts of the message's url, once they are known: :meth:`RequestFactory.split` takes its time.
    parts: tuple[str, str, str] | None = None
    #: By which the request's view can name a topic; None for what subscribes to nothing.
    subscription: Any = None
    #: Who the request was; known once there is a response.
    identity: Identity = UNSET
    #: What keeps a request with a key from running twice; made with the request.
    once: Once | None = None
    #: What the answer depends on; None where nobody asks, and the request is as light as can be.
    observed: Observed | None = None

    def request(self) -> SocketRequest | Reply | MessageError:
        """The request; or what is to be answered where the message can't be one."""
        try:
            request = self.factory.build(
                self.message, self.cookie, trusted=self.trusted, parts=self.parts
            )
        except MessageError as error:
            return error
        except BadRequest:  # Django's own constructors, about the content type
            return self.reply(HttpResponseBadRequest())
        if self.subscription is not None:
            request._wsrequest_subscription = self.subscription
        if self.message.key is not None:
            self._expect_repeats(request)
        if self.observed is not None:
            self.observed.watch(request)
        return request

    def _expect_repeats(self, request: SocketRequest) -> None:
        cookie = self.factory.handshake.header(b"cookie") or ""
        self.once = once_for(self.message, cookie, self.factory.connection_id)
        if self.once is not None:
            self.once.attach(request)

    def last_step(
        self, request: SocketRequest, response: HttpResponseBase
    ) -> Callable[[], None] | None:
        """What a subscription still wants to know of a request to which its url has said yes: to be called on a thread,
        before the response is closed. None: nothing."""
        if self.subscription is None or not 200 <= response.status_code < 300:
            return None
        step: Callable[[], None] | None = self.subscription.last_step(request)
        return None if step is None else partial(self._take, step, request)

    def _take(self, step: Callable[[], None], request: SocketRequest) -> None:
        step()
        self.identity = identity_of(request)  # it may have been the first to ask

    def settle(self, request: SocketRequest, response: HttpResponseBase) -> HttpResponseBase:
        """What is to be sent for the response to a request with a key: for a repeat, the first answer."""
        assert self.once is not None
        response, self.identity = self.once.settle(request, response, self.identity)
        return response

    @property
    def is_async(self) -> bool:
        """Whether an asynchronous view will answer, as far as can be told before."""
        if not any_view_is_async():
            return False
        self.parts = self.factory.split(self.message.url or "")
        return view_is_async(self.parts[1])

    def is_laborious(self, response: HttpResponseBase) -> bool:
        """Whether :meth:`reply` may take so long that other connections would notice, on an event loop."""
        if not self.codec.rewrites_json or response.streaming:
            return False
        return len(cast("HttpResponse", response).content) > LABORIOUS

    def reply(self, response: HttpResponseBase) -> Reply:
        """A whole response; or the head of one whose body nobody may have."""
        if response.streaming:
            return self.head(response)
        reply = reply_to(
            self.message.method, cast("HttpResponse", response), self.omitted, self.codec
        )
        return self._signed(reply, response)

    def head(self, response: HttpResponseBase) -> Reply:
        """The head of a stream."""
        reply = head_of(response, self.omitted)
        reply.is_stream = True
        return self._signed(reply, response)

    def _signed(self, reply: Reply, response: HttpResponseBase) -> Reply:
        """The reply with what is known of the request."""
        reply.identity = self.identity
        if self.observed is not None:
            reply.varies = self.observed.varies(response)
        return reply


class OpeningCall(Call):
    """The handshake as a call: a GET of its own url, answered by ``view`` in the project's middleware."""

    __slots__ = ("view",)

    def __init__(self, factory: RequestFactory, cookie: str, view: Callable[..., Any]) -> None:
        message = Request(url=factory.handshake.path, method="GET")
        super().__init__(
            factory, message, cookie, trusted=True, omitted=frozenset(), codec=JSONCodec()
        )
        self.view = view

    def request(self) -> SocketRequest:
        request = self.factory.opening(self.cookie)
        request.own_view = self.view
        return request

    @property
    def is_async(self) -> bool:
        return iscoroutinefunction(self.view)
