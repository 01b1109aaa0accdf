"""What an event may be called, and what may be said with it: the same for whoever sends one."""

from __future__ import annotations

from typing import Any

from django.core.serializers.json import DjangoJSONEncoder

from wsrequest.protocol.messages import RESERVED_EVENTS

_encoder = DjangoJSONEncoder(allow_nan=False, ensure_ascii=False)


def checked_event(event: object) -> str:
    """The name, where it can be one.

    Raises TypeError for what is no ``str``, and ValueError for one that is empty, can't be UTF-8 or belongs to
    subscriptions.
    """
    if not isinstance(event, str):
        raise TypeError(f"event: the name of an event is a str, not {type(event).__name__}.")
    if not event or event in RESERVED_EVENTS or not _is_text(event):
        raise ValueError(f"event: {event!r} can't be the name of an event.")
    return event


def encoded_data(data: Any) -> bytes:
    """JSON text of anything that ``DjangoJSONEncoder`` takes.

    Raises TypeError for what can't be JSON, and ValueError for NaN, circles and text that can't be UTF-8.
    """
    try:
        return _encoder.encode(data).encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            "data: half a character (a lone surrogate) can't be written as UTF-8."
        ) from error
    except RecursionError as error:
        raise ValueError("data: it is nested too deep.") from error
    except TypeError as error:
        raise TypeError(f"data: {error}") from error
    except ValueError as error:
        raise ValueError(f"data: {error}") from error


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
