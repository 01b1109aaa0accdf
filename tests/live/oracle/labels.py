"""How it is said who may see what; importable where the project is not installed.

A label is ``kind|key|text``: which row, and what its text is.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

#: By the name of a user, the labels of all that he may see.
Seen = dict[str, list[str]]

#: The names of who is nobody, and of who could see all that there is.
ANYBODY, ALL = "", "*"

#: That a user may log in, and that he may see all: these stand among the labels of the rows.
ACTIVE, SEER = "U|active|", "U|seer|"

_LABEL = re.compile(r"[PTCN]\|[\w-]+\|\w+")


def labels_in(text: str) -> frozenset[str]:
    return frozenset(_LABEL.findall(text))


def row_of(label: str) -> str:
    """Which row it is, whatever its text."""
    return label.rpartition("|")[0]


class Allowed:
    """What may have been seen since everybody was last up to date."""

    def __init__(self, seen: Seen) -> None:
        self._seen = [seen]

    @property
    def last(self) -> Seen:
        return self._seen[-1]

    @property
    def all(self) -> list[Seen]:
        return self._seen

    def add(self, seen: list[Seen]) -> None:
        self._seen += seen

    def settle(self) -> None:
        del self._seen[:-1]

    def to(self, name: str) -> set[str]:
        """What a GET may have shown him.

        A view asks for his permission first and for the rows then. If a commit comes between that takes something from
        him, a row that is new in it may be among them: so it is with any GET, and may be here.
        """
        mine = [set(seen.get(name, ())) for seen in self._seen]
        rows = [{row_of(label) for label in labels} for labels in mine]
        found = set().union(*mine)
        if any(former - later for former, later in pairwise(rows)):
            known = set(self._seen[0][ALL])
            found |= {label for seen in self._seen for label in seen[ALL] if label not in known}
        return found


def comparable(value: Any) -> Any:
    """Equal for equal JSON only: Python has 1 == 1.0 == True."""
    if isinstance(value, dict):
        return {name: comparable(each) for name, each in value.items()}
    if isinstance(value, list):
        return [comparable(each) for each in value]
    return (type(value), value)
