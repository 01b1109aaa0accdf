"""The urls that are watched, and which of them a user may GET, by what he may see."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tests.live.oracle.labels import ACTIVE, ALL, SEER, Seen

OK = 200


@dataclass(frozen=True)
class Url:
    """``needs``: what a user has to see, and what he is answered otherwise. ``exists``: a row that has to be there."""

    path: str
    needs: tuple[tuple[str, int], ...] = ()
    exists: str = ""

    def of(self, key: Any) -> Url:
        return Url(
            self.path.format(key=key),
            tuple((label.format(key=key), status) for label, status in self.needs),
            self.exists.format(key=key),
        )

    def status(self, seen: Seen, name: str) -> int:
        """What a GET answers him, where this is what may be seen."""
        has_logged_in, *others = self.needs or (("", OK),)
        if not _has(seen[name], has_logged_in[0]):
            return has_logged_in[1]
        if self.exists and not _has(seen[ALL], self.exists):
            return 404
        for label, status in others:
            if not _has(seen[name], label):
                return status
        return OK


def _has(labels: Iterable[str], start: str) -> bool:
    return not start or any(label.startswith(start) for label in labels)


DRF = (ACTIVE, 403)
LOGIN = (ACTIVE, 302)

FIXED = (
    Url("/api/projects/", (DRF,)),
    Url("/api/tasks/?page=1", (DRF,)),
    Url("/api/tasks/?done=1", (DRF,)),
    Url("/api/tasks/?weight=2", (DRF,)),
    Url("/api/bugs/", (DRF,)),
    Url("/api/counts/", (DRF,)),
    Url("/api/report/", (DRF, (SEER, 403))),
    Url("/api/concerning/", (DRF,)),
    Url("/async/projects/", ((ACTIVE, 401),)),
    Url("/notices/"),
    Url("/notices/last/"),
    Url("/board/", (LOGIN,)),
    Url("/greeting/"),
    Url("/me/"),
    Url("/figures/"),
)

OF_PROJECT = (
    Url("/api/projects/{key}/", (DRF, ("P|{key}|", 404))),
    Url("/api/projects/{key}/tasks/", (DRF, ("P|{key}|", 404))),
    Url("/open/{key}/"),
    Url("/pinned/{key}/", (LOGIN,)),
)

OF_TASK = (Url("/api/tasks/{key}/", (DRF, ("T|{key}|", 403)), "T|{key}|"),)
