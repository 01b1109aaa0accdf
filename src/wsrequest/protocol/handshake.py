"""Opening a connection: its facts as data, and the two rules about them as pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from wsrequest.errors import NoCommonVersion, OriginRefused


@dataclass(frozen=True, slots=True)
class Handshake:
    """What is known when a WebSocket is opened, however the transport learnt it.

    ``path`` is percent-decoded and includes ``root_path`` (the script prefix, "" for none). Header names (in any
    case) and values are bytes, in the order in which they came: the server's own list, not a copy of it. ``client``
    and ``server`` are address and port. ``query_string`` is as it was written. ``secure`` says whether this hop was
    TLS (``wss``); a proxy's word for it is a header.
    """

    path: str
    # Cookies and tokens are among these: they have no place in a traceback with local variables.
    headers: Sequence[tuple[bytes, bytes]] = field(default=(), repr=False)
    root_path: str = ""
    subprotocols: tuple[str, ...] = field(default=(), repr=False)
    secure: bool = False
    client: tuple[str, int] | None = None
    server: tuple[str, int] | None = None
    http_version: str = "1.1"
    query_string: bytes = field(default=b"", repr=False)

    def header(self, name: bytes) -> str | None:
        """The value of this header (name in lower case). Repeated ones are joined, and Cookie by "; " as in HTTP/2."""
        values = [value.decode("latin-1") for key, value in self.headers if key.lower() == name]
        return ("; " if name == b"cookie" else ",").join(values) if values else None


def choose_subprotocol(offered: Sequence[str], spoken: Iterable[str]) -> str | None:
    """The first offered subprotocol that is spoken here; None for a client that offers none (as in 2014).

    Raises :class:`~wsrequest.errors.NoCommonVersion` where some were offered and none is spoken.
    """
    if not offered:
        return None
    spoken = frozenset(spoken)
    for name in offered:
        if name in spoken:
            return name
    raise NoCommonVersion


def check_origin(origin: str | None, own: str, trusted: Sequence[str]) -> bool:
    """Whether the Origin header was verified: False where there is none, as with clients that are no browsers.

    ``own`` is ``scheme://host[:port]`` of this site; ``trusted`` is CSRF_TRUSTED_ORIGINS, in which a host may begin
    with ``*.``. Scheme, host and port must agree, as in Django's ``CsrfViewMiddleware._origin_verified``.
    Raises :class:`~wsrequest.errors.OriginRefused` for a foreign origin, ``null`` included.
    """
    if origin is None:
        return False
    if origin == own or ("*" not in origin and origin in trusted):
        return True
    try:
        scheme, host = urlsplit(origin)[:2]
    except ValueError:
        raise OriginRefused from None
    for entry in trusted:
        if "*" in entry:
            trusted_scheme, pattern = urlsplit(entry)[:2]
            if scheme == trusted_scheme and _is_same_domain(host, pattern.lstrip("*").lower()):
                return True
    raise OriginRefused


def _is_same_domain(host: str, pattern: str) -> bool:
    """Django's rule: ".example.com" is that domain and everything below it."""
    if pattern.startswith("."):
        return host.endswith(pattern) or host == pattern[1:]
    return host == pattern != ""
