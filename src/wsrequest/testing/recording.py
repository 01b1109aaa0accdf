"""What a test may know of a request beside its answer: the request itself, templates, contexts, exceptions."""

from __future__ import annotations

import contextvars
import copy
import sys
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakValueDictionary

from django.core.signals import got_request_exception
from django.http import HttpRequest
from django.test.signals import template_rendered
from django.test.utils import ContextList

from wsrequest.lifecycle.handler import response_of
from wsrequest.lifecycle.request import SocketRequest
from wsrequest.lifecycle.runner import PoolRunner

if TYPE_CHECKING:
    from django.http.response import HttpResponseBase

    from wsrequest.lifecycle.call import Call
    from wsrequest.lifecycle.response import Reply
    from wsrequest.lifecycle.sink import Sink


class Record:
    """One run of a message through the lifecycle."""

    def __init__(self, message_id: int | str | None) -> None:
        self.message_id = message_id
        self.request: HttpRequest | None = None
        #: What was rendered, template by template.
        self.templates: list[Any] = []
        self.contexts: ContextList = ContextList()
        self.exc_info: Any = None

    @property
    def response(self) -> HttpResponseBase | None:
        """What the project's code has answered; on the wire some headers and secrets of it are left out."""
        return None if self.request is None else response_of(self.request)


class _Recorded:
    """A call whose request is written down. In everything else it is the call."""

    def __init__(self, call: Call, record: Record) -> None:
        vars(self).update(_call=call, _record=record)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._call, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._call, name, value)

    def request(self) -> Any:
        request = self._call.request()
        if isinstance(request, SocketRequest):
            self._record.request = request
        return request


class RecordingRunner(PoolRunner):
    """Tells each connection what becomes of its messages."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        #: By the id of a connection, who is told of each message that runs.
        self.listeners: WeakValueDictionary[str, Any] = WeakValueDictionary()
        #: GETs that run for no message of a client: those of subscriptions that are asked for again.
        self.asking = 0

    def start(self, call: Call, context: contextvars.Context, sink: Sink) -> None:
        record = Record(call.message.id)
        connection = self.listeners.get(call.factory.connection_id or "")
        if connection is not None:
            connection.started(record)
        context = context.copy()
        context.run(_present.set, record)
        super().start(cast("Call", _Recorded(call, record)), context, sink)

    async def answer(self, call: Call, context: contextvars.Context) -> Reply:
        self.asking += 1
        try:
            return await super().answer(call, context)
        finally:
            self.asking -= 1


_present: contextvars.ContextVar[Record] = contextvars.ContextVar("wsrequest.testing.record")


def _rendered(sender: Any, template: Any, context: Any, **facts: Any) -> None:
    if (record := _present.get(None)) is not None:
        record.templates.append(template)
        record.contexts.append(copy.copy(context))


def _raised(sender: Any, **facts: Any) -> None:
    if (record := _present.get(None)) is not None:
        record.exc_info = sys.exc_info()


# For good: nothing is recorded outside of a client's requests.
template_rendered.connect(_rendered, dispatch_uid="wsrequest.testing.rendered")
got_request_exception.connect(_raised, dispatch_uid="wsrequest.testing.raised")
