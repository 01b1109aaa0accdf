"""The counters on the page: what keeping this process's answers up to date has cost, and what it has not.

The settings name `figures` as METRICS, so the package tells it of everything that it counts. Three of these numbers go
on to whoever watches `api/figures/`, as an event: a live answer would be run again for each run that it counts, its own
too.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING
from uuid import uuid4

from rest_framework.response import Response
from rest_framework.views import APIView

from wsrequest import apublish, topic
from wsrequest.errors import BrokerUnavailable

if TYPE_CHECKING:
    from rest_framework.request import Request

#: Each process counts for itself, and tells its own visitors.
TOPIC = f"@figures/{uuid4().hex}"
#: Seconds, so that what happens at one moment is told once.
PAUSE = 0.1
#: The package's names, and the page's.
SHOWN = {"live_audiences": "audiences", "live_reruns": "runs", "live_reruns_saved": "saved"}


class Figures:
    """What METRICS asks for; all is called on the event loop."""

    def __init__(self) -> None:
        self.now = dict.fromkeys(SHOWN.values(), 0)
        self._telling: asyncio.Task[None] | None = None

    def count(self, name: str, value: float = 1, **labels: str) -> None:
        """Add to a counter."""
        if name in SHOWN:
            self._set(name, self.now[SHOWN[name]] + int(value))

    def gauge(self, name: str, value: float, **labels: str) -> None:
        """Take a number as it is by now."""
        if name in SHOWN:
            self._set(name, int(value))

    def gauge_add(self, name: str, value: float, **labels: str) -> None:
        """Nothing of this kind is shown."""

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Nor of this."""

    def _set(self, name: str, value: int) -> None:
        self.now[SHOWN[name]] = value
        if self._telling is None:
            self._telling = asyncio.get_running_loop().create_task(self._tell())

    async def _tell(self) -> None:
        await asyncio.sleep(PAUSE)
        self._telling = None
        with suppress(BrokerUnavailable):  # the next change is told again
            await apublish(TOPIC, self.now, event="figures")


figures = Figures()


class FiguresView(APIView):
    """The same for everybody: nobody is asked who he is."""

    authentication_classes = []
    permission_classes = []
    hears = topic(lambda request: TOPIC)

    def get(self, request: Request) -> Response:
        """Return the numbers as they are."""
        return Response(figures.now)
