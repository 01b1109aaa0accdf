"""What stands in for a request's mappings and its session while it is noted what is read of them.

Each behaves as what it stands for. A read is told with the module that reads, so that Django's own can be told from the
project's.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from types import FrameType
from typing import Any

from django.http import HttpHeaders

from wsrequest.lifecycle.identity import identity_of

#: Takes a key and the module that asked for it.
Note = Callable[[str, str | None], None]

#: The module of Django's SessionMiddleware.
SESSIONS = "django.contrib.sessions.middleware"
#: What the session does by itself is done for its caller.
_OWN = frozenset({"django.contrib.sessions.backends.base", __name__})
_WITHOUT_NOTE = frozenset({SESSIONS, identity_of.__module__})
_NOTE = "_wsrequest_note"


class Noted(dict[str, Any]):
    """META or COOKIES. As ``__iter__`` is its own, ``dict(meta)``, ``{**meta}`` and ``f(**meta)`` go by ``keys()``."""

    __slots__ = ("_all", "_one")

    def __init__(
        self,
        values: Mapping[str, Any],
        one: Note,
        everything: Callable[[], None],
    ) -> None:
        super().__init__(values)
        self._one = one
        self._all = everything

    def __getitem__(self, key: str) -> Any:
        self._one(key, sys._getframe(1).f_globals.get("__name__"))
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        self._one(key, sys._getframe(1).f_globals.get("__name__"))  # type: ignore[arg-type]
        return super().__contains__(key)

    def get(self, key: str, default: Any = None, /) -> Any:
        self._one(key, sys._getframe(1).f_globals.get("__name__"))
        return super().get(key, default)

    def setdefault(self, key: str, default: Any = None, /) -> Any:
        self._one(key, sys._getframe(1).f_globals.get("__name__"))
        return super().setdefault(key, default)

    def pop(self, key: str, /, *default: Any) -> Any:
        self._one(key, sys._getframe(1).f_globals.get("__name__"))
        return super().pop(key, *default)

    def __delitem__(self, key: str) -> None:  # raises KeyError, or does not
        self._one(key, sys._getframe(1).f_globals.get("__name__"))
        super().__delitem__(key)

    def __len__(self) -> int:
        self._all()
        return super().__len__()

    def __iter__(self) -> Iterator[str]:
        self._all()
        return super().__iter__()

    def __reversed__(self) -> Iterator[str]:
        self._all()
        return super().__reversed__()

    def keys(self) -> Any:
        self._all()
        return super().keys()

    def values(self) -> Any:
        self._all()
        return super().values()

    def items(self) -> Any:
        self._all()
        return super().items()

    def popitem(self) -> tuple[str, Any]:
        self._all()
        return super().popitem()

    def copy(self) -> dict[str, Any]:
        self._all()
        return dict(super().items())

    __copy__ = copy

    def __reduce_ex__(self, protocol: Any) -> Any:
        return dict, (self.copy(),)

    def __or__(self, other: Any) -> Any:
        return self.copy() | other

    def __ror__(self, other: Any) -> Any:
        return other | self.copy()

    def __eq__(self, other: object) -> bool:
        return self.copy() == other

    def __ne__(self, other: object) -> bool:
        return self.copy() != other

    __hash__ = None

    def __repr__(self) -> str:
        return repr(self.copy())


class NotedHeaders(HttpHeaders):
    """``request.headers``."""

    def __init__(self, meta: dict[str, Any], one: Note, everything: Callable[[], None]) -> None:
        super().__init__(meta)
        self._one = one
        self._all = everything

    def __getitem__(self, key: str) -> str:
        self._one(self.to_wsgi_name(key), None)
        return super().__getitem__(key)

    def __iter__(self) -> Iterator[str]:
        self._all()
        return super().__iter__()

    def __len__(self) -> int:
        self._all()
        return super().__len__()

    def __repr__(self) -> str:
        self._all()
        return super().__repr__()


def note_session(session: Any, note: Callable[[], None]) -> None:
    """Call ``note`` as soon as anybody but its middleware asks something of the session."""
    try:
        session.__dict__[_NOTE] = note
        session.__class__ = _noted_kind(session.__class__)
    except (AttributeError, TypeError):  # of no class that can be had with notes
        note()


def was_accessed(session: Any) -> bool:
    """What the session says of itself, without a note."""
    try:
        return bool(object.__getattribute__(session, "__dict__").get("accessed"))
    except AttributeError:  # there is none, or none that knows
        return False


class _NotedSession:
    """(Django's own mark, ``accessed``, is not set where only the session's key is read.)"""

    def __getattribute__(self, name: str) -> Any:
        attributes: dict[str, Any] = object.__getattribute__(self, "__dict__")
        if _NOTE in attributes:  # else it is known, and nobody need look who asks
            frame: FrameType | None = sys._getframe(1)
            while frame is not None and (module := frame.f_globals.get("__name__")) in _OWN:
                frame = frame.f_back
            if module not in _WITHOUT_NOTE and (note := attributes.pop(_NOTE, None)) is not None:
                note()
        return super().__getattribute__(name)


@lru_cache(maxsize=64)
def _noted_kind(kind: Any) -> Any:
    """A session's class with notes; by its name, which signatures are salted with, the same."""
    if issubclass(kind, _NotedSession):
        return kind
    own = {
        "__module__": kind.__module__,
        "__qualname__": kind.__qualname__,
        "__doc__": kind.__doc__,
    }
    return type(kind.__name__, (_NotedSession, kind), own)
