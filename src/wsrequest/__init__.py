"""Any Django project on one WebSocket: every view answers a message exactly as it answers HTTP.

The names here are loaded when they are used, so that importing ``wsrequest`` needs neither settings nor Django.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wsrequest.livequery.opting import live
    from wsrequest.livequery.reads import depends_on
    from wsrequest.push.emitting import emits
    from wsrequest.push.members import apresence, presence
    from wsrequest.push.naming import topic
    from wsrequest.push.sending import (
        adisconnect,
        anotify,
        apublish,
        atouch,
        disconnect,
        notify,
        publish,
        touch,
    )
    from wsrequest.push.targets import EVERYONE
    from wsrequest.transports.plain import WebSocketRequest

__version__ = "1.0.0.dev0"

__all__ = [
    "EVERYONE",
    "WebSocketRequest",
    "adisconnect",
    "anotify",
    "apresence",
    "apublish",
    "atouch",
    "depends_on",
    "disconnect",
    "emits",
    "live",
    "notify",
    "presence",
    "publish",
    "topic",
    "touch",
]

_HOMES = {
    "adisconnect": "wsrequest.push.sending",
    "anotify": "wsrequest.push.sending",
    "apresence": "wsrequest.push.members",
    "apublish": "wsrequest.push.sending",
    "atouch": "wsrequest.push.sending",
    "depends_on": "wsrequest.livequery.reads",
    "disconnect": "wsrequest.push.sending",
    "emits": "wsrequest.push.emitting",
    "EVERYONE": "wsrequest.push.targets",
    "live": "wsrequest.livequery.opting",
    "notify": "wsrequest.push.sending",
    "presence": "wsrequest.push.members",
    "publish": "wsrequest.push.sending",
    "topic": "wsrequest.push.naming",
    "touch": "wsrequest.push.sending",
    "WebSocketRequest": "wsrequest.transports.plain",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
