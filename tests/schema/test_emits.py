"""`emits`: what can be declared, and where it is found."""

from __future__ import annotations

import functools

import pytest
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.cache import never_cache

from wsrequest import emits, topic
from wsrequest.push.emitting import emits_of


def test_a_view_stays_what_it_is():
    def view(request): ...

    assert emits(paid=int)(view) is view
    assert emits_of(view).types == {"paid": int}


def test_names_that_are_no_identifiers():
    assert emits({"order.paid": int, "note": str}, note=int).types == {
        "order.paid": int,
        "note": int,
    }
    assert emits().types == {}


@pytest.mark.parametrize("order", [0, 1])
def test_it_may_stand_anywhere_among_decorators(order):
    decorators = [emits(paid=int), never_cache, topic(lambda request: "@x")]
    view = functools.reduce(
        lambda inner, decorate: decorate(inner),
        reversed(decorators) if order else decorators,
        lambda request: None,
    )
    assert emits_of(view).types == {"paid": int}


def test_a_class_has_it_as_an_attribute():
    class Orders(View):
        events = emits(paid=int)

        @method_decorator(emits(sent=str))
        def get(self, request): ...

    class Below(Orders):
        pass

    class Other(Orders):
        events = emits(closed=int)

    class Without(Orders):
        events = None

    assert emits_of(Orders).types == emits_of(Below).types == {"paid": int}
    assert emits_of(Orders.get).types == {"sent": str}
    assert emits_of(Other).types == {"closed": int}
    assert emits_of(Without) is None
    assert emits_of(View) is None


def test_it_is_no_decorator_for_classes():
    with pytest.raises(TypeError, match="write it as an attribute"):
        emits(paid=int)(View)


@pytest.mark.parametrize("event", ["", "patch", "replace", "lost", "join", "leave", "\ud800"])
def test_names_that_no_event_can_have(event):
    with pytest.raises(ValueError, match="can't be the name of an event"):
        emits({event: int})


def test_a_name_is_text():
    with pytest.raises(TypeError, match="the name of an event is a str"):
        emits({1: int})
