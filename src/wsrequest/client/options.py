"""What a user says of a connection, once."""

from __future__ import annotations

import inspect
import random
import re
import ssl as tls
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypedDict
from urllib.parse import urlsplit

from wsrequest.protocol.client import CODECS, Comeback
from wsrequest.protocol.codec import Codec

#: A token, or what gives one: called for each connection, and when the server says that the last one expires.
Token = str | Callable[[], str | None] | Callable[[], Awaitable[str | None]]

#: Seconds: the first back-off is at most the one, no back-off is more than the other.
FIRST_BACK_OFF = 0.5
LONGEST_BACK_OFF = 30.0


class Options(TypedDict, total=False):
    """The keyword arguments of :func:`~wsrequest.client.connect` and of the transports."""

    codec: Literal["json", "msgpack"]
    token: Token | None
    headers: Mapping[str, str] | None
    origin: str | None
    cookies: Mapping[str, str] | None
    ssl: tls.SSLContext | None
    proxy: str | Literal[True] | None


@dataclass(frozen=True)
class Target:
    """Where to connect to, and how. Nothing of it changes while there is a connection."""

    url: str
    codec: Codec
    # Neither token nor cookies have a place in a traceback with local variables.
    token: Token | None = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    origin: str | None
    ssl: tls.SSLContext | None
    proxy: str | Literal[True] | None

    @property
    def http(self) -> str:
        """Scheme and host of the site, as requests name it."""
        parts = urlsplit(self.url)
        return f"{'https' if parts.scheme == 'wss' else 'http'}://{parts.netloc}"

    async def current_token(self) -> str | None:
        if not callable(self.token):
            return self.token
        token = self.token()
        return await token if inspect.isawaitable(token) else token


def target(url: str, options: Options) -> Target:
    """Raises ValueError for what can't be meant."""
    parts = urlsplit(url)
    if parts.scheme not in ("ws", "wss") or not parts.hostname:
        raise ValueError(
            f"{url!r} is no address of a WebSocket: write ws://host/path/ or wss://host/path/"
        )
    name = options.get("codec", "json")
    if name not in CODECS:
        raise ValueError(f"The codec is 'json' or 'msgpack', not {name!r}")
    return Target(
        url=url,
        codec=CODECS[name],
        token=options.get("token"),
        headers=dict(options.get("headers") or {}),
        origin=options.get("origin"),
        ssl=options.get("ssl"),
        proxy=options.get("proxy", True),
    )


def back_off(attempt: int) -> float:
    """Full jitter (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/): a thousand clients that
    lost their server at one moment don't come back at one moment."""
    return random.uniform(0, min(LONGEST_BACK_OFF, FIRST_BACK_OFF * 2 ** min(attempt, 16)))  # noqa: S311


def seconds_in(retry_after: str | None, otherwise: float = 0) -> float:
    """What a Retry-After says. It may be a time of day, too, by a clock that may not be ours: that is not taken."""
    seconds = re.fullmatch("[0-9]{1,9}", retry_after or "")
    return float(seconds[0]) if seconds else otherwise


def pause_before(comeback: Comeback, goaway: float | None, attempt: int) -> float:
    """Seconds before the next attempt, after a connection was lost."""
    if comeback == "now" and attempt == 0:
        return goaway or 0
    return max(back_off(attempt), goaway or 0)
