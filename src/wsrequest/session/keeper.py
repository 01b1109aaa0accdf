"""What a subscription needs of who keeps it, and what it can want of its url."""

from __future__ import annotations

from enum import IntEnum
from typing import Protocol, TypeVar

from wsrequest.lifecycle.response import Reply
from wsrequest.push.hub import Hub
from wsrequest.session.attendance import Attendance
from wsrequest.session.rerun import Reruns

Kept_contra = TypeVar("Kept_contra", contravariant=True)


class Keeper(Protocol[Kept_contra]):
    """Who keeps the subscriptions of a connection."""

    hub: Hub
    reruns: Reruns

    @property
    def identity(self) -> str | None:
        """The primary key of the connection's user as a string; None for nobody."""

    async def ask_alone(self, subscription: Kept_contra) -> Reply:
        """Run its GET for this subscription only: its view may name another topic by it, and its updates see what the
        answer depends on."""

    async def introduce(self, subscription: Kept_contra, attendance: Attendance) -> Reply:
        """Run the GET as the first one was run, for what is told of the connection."""

    def ended(self, subscription: Kept_contra) -> None:
        """It is over."""

    def close(self, code: int) -> None:
        """Close the connection."""


class Wanted(IntEnum):
    """What a subscription is to ask its url for."""

    NOTHING = 0
    PERMISSION = 1
    SNAPSHOT = 2
