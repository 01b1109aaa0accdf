"""What a view says of the events that its subscribers hear: their names and types, for ``manage.py wsschema``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from wsrequest.events import checked_event

View = TypeVar("View", bound=Callable[..., Any])

#: Of a view: its declaration. Of a class: the name of the attribute that has it.
_ATTRIBUTE = "_wsrequest_emits"


class Emits:
    """What :func:`emits` gives: a decorator for views, and an attribute for classes of views. ``types`` by event."""

    def __init__(self, types: Mapping[str, Any]) -> None:
        self.types = {checked_event(event): kind for event, kind in types.items()}

    def __call__(self, view: View) -> View:
        """The same view. It is not wrapped: nothing happens when it runs."""
        if isinstance(view, type):
            raise TypeError("@emits is for views. In a class, write it as an attribute.")
        setattr(view, _ATTRIBUTE, self)
        return view

    def __set_name__(self, owner: type[Any], name: str) -> None:
        setattr(owner, _ATTRIBUTE, name)


def emits(types: Mapping[str, Any] | None = None, /, **more: Any) -> Emits:
    """Declare which events subscribers of a view hear, and what their data is::

        @emits(paid=OrderPaid, note=str)
        def order(request, pk): ...

        publish(reverse("order", args=[pk]), {"id": pk, "total": "9.90"}, event="paid")

    ``manage.py wsschema`` writes it down for those who write clients; ``publish()`` does not look at it. A type is
    anything with a JSON Schema: what msgspec knows (a dataclass, a ``TypedDict``, a ``msgspec.Struct``, ``str``,
    ``list[int]``, ...), a pydantic model, a serializer of REST framework, or a schema as a dict. ``Any`` says nothing.
    Names that are no identifiers come in a mapping: ``emits({"order.paid": OrderPaid})``.

    On a function, in any place among its decorators; on a method, too; or for a class-based view or viewset as an
    attribute, where that of the method which answers GET comes first, and a subclass may have its own, or None::

        class OrderViewSet(ModelViewSet):
            events = emits(created=OrderSerializer)

    Raises TypeError and ValueError for what can't be the name of an event.
    """
    return Emits({**(types or {}), **more})


def emits_of(view: Any) -> Emits | None:
    """What a function, a method or a class declares."""
    found = getattr(view, _ATTRIBUTE, None)
    if isinstance(found, str):
        found = getattr(view, found, None)
    return found if isinstance(found, Emits) else None
