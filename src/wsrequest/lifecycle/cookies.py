"""A connection's cookies: the handshake's, kept up to date by responses, so that a login over the socket holds."""

from __future__ import annotations

import math
import re
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http.cookies import Morsel, SimpleCookie

_MAX_AGE = re.compile(r"-?[0-9]+").fullmatch
_SURROGATE = re.compile(r"[\ud800-\udfff]").search


#: Cookies of which it is remembered how they were set; browsers keep about as many for a site.
MOST_SET = 180


@dataclass(slots=True)
class _Cookie:
    value: str
    secure: bool = False
    expires: float = math.inf


_NO_COOKIES: dict[tuple[str, str | None], _Cookie] = {}
_NONE_SET: dict[tuple[str, str, str], tuple[Morsel[str], float]] = {}


class CookieJar:
    """The cookies of one connection, by the rules of RFC 6265 that matter for a single host.

    The handshake's Cookie header tells names and values only; a response's Set-Cookie of the same name replaces
    them, whatever its path. Any thread may ask what was set; everything else is for the connection's event loop.
    """

    __slots__ = ("_cookies", "_everywhere", "_same_until", "_set")

    def __init__(self, header: str = "") -> None:
        """``header`` is the handshake's Cookie header."""
        # These two are never changed, only replaced: most connections share the empty ones.
        self._cookies: dict[tuple[str, str | None], _Cookie] = _NO_COOKIES
        self._set: dict[tuple[str, str, str], tuple[Morsel[str], float]] = _NONE_SET
        cookies: dict[tuple[str, str | None], _Cookie] = {}
        for pair in header.split(";"):
            name, separator, value = map(str.strip, pair.partition("="))
            if not separator:  # Django takes it for the value of a cookie without a name
                name, value = "", name
            if name or value:
                cookies[name, None] = _Cookie(value)
        if cookies:
            self._cookies = cookies
        self._everywhere = ""
        self._same_until = -math.inf
        self._cache()

    def __contains__(self, name: str) -> bool:
        """Whether there is a cookie of this name, for any path."""
        return any(name == kept for kept, _ in self._cookies)

    def value_of(self, name: str) -> str | None:
        """The value of the cookie of this name, whatever its path; None where there is none."""
        values = [cookie.value for (kept, _), cookie in self._cookies.items() if kept == name]
        return values[-1] if values else None

    def header_for(self, url: str, *, secure: bool) -> str:
        """The Cookie header for a request of this url ("" for none)."""
        now = time.time()
        if now < self._same_until:
            return self._everywhere
        path = re.split(r"[?#]", url, maxsplit=1)[0]
        sent = [
            (cookie_path or "", f"{name}={cookie.value}")
            for (name, cookie_path), cookie in self._cookies.items()
            if (secure or not cookie.secure)
            and cookie.expires > now
            and _path_matches(path, cookie_path)
        ]
        # The longest path first, so that the application finds them as a browser sends them.
        sent.sort(key=lambda pair: -len(pair[0]))
        return "; ".join(pair for _, pair in sent)

    def update(self, cookies: SimpleCookie) -> bool:
        """Take over what a response set; a past expiry deletes. Returns whether any cookie has another value now."""
        now = time.time()
        said, kept = self._set.copy(), self._cookies.copy()
        for name, morsel in cookies.items():
            path = morsel["path"] if morsel["path"].startswith("/") else "/"
            key = (name, morsel["domain"].lower(), path)
            said.pop(key, None)
            said[key] = (morsel.copy(), now)
            kept.pop((name, None), None)
            kept.pop((name, path), None)
            kept[name, path] = _Cookie(
                morsel.coded_value, bool(morsel["secure"]), _expires(morsel, now)
            )
        former = {(name, cookie.value) for (name, _), cookie in self._cookies.items()}
        self._cookies = {key: cookie for key, cookie in kept.items() if cookie.expires > now}
        while len(said) > MOST_SET:
            del said[next(iter(said))]
        self._set = said
        self._cache()
        return former != {(name, cookie.value) for (name, _), cookie in self._cookies.items()}

    def set_since_handshake(self) -> list[Morsel[str]]:
        """What responses have set, for each cookie the last word, deletions too: as it would be set now, so that a
        Max-Age is what is left of it."""
        now = time.time()
        return [_as_of(now, morsel.copy(), then) for morsel, then in self._set.values()]

    def _cache(self) -> None:
        """Keep the header ready for as long as it is the same for every path and scheme."""
        self._same_until = -math.inf
        cookies = self._cookies.items()
        if all(path in (None, "/") and not cookie.secure for (_, path), cookie in cookies):
            self._everywhere = self.header_for("/", secure=False)
            self._same_until = min((cookie.expires for _, cookie in cookies), default=math.inf)


def public_cookies(cookies: SimpleCookie) -> dict[str, dict[str, str | int]]:
    """What a client may know of the cookies that a response set: attributes, and values that are not HttpOnly."""
    told: dict[str, dict[str, str | int]] = {}
    for name, morsel in cookies.items():
        attributes = {
            key: value for key, value in morsel.items() if value != "" and value is not False
        }
        if not morsel["httponly"]:
            attributes["value"] = morsel.value
        told[name] = {key: value for key, value in attributes.items() if _is_text(value)}
    return told


def _is_text(value: str | int) -> bool:
    """False for a lone surrogate, which a view may have put into a cookie and no peer could read."""
    return not (isinstance(value, str) and _SURROGATE(value))


def _path_matches(path: str, cookie_path: str | None) -> bool:
    """RFC 6265, 5.1.4."""
    if cookie_path is None or path == cookie_path:
        return True
    return path.startswith(cookie_path if cookie_path.endswith("/") else f"{cookie_path}/")


def _as_of(now: float, morsel: Morsel[str], then: float) -> Morsel[str]:
    """A cookie that was set ``then``, to be set ``now``."""
    if _MAX_AGE(str(morsel["max-age"])):
        morsel["max-age"] = max(0, int(float(morsel["max-age"]) - (now - then)))
    if isinstance(morsel["expires"], int):
        morsel["expires"] -= int(now - then)
    return morsel


def _expires(morsel: Morsel[str], now: float) -> float:
    """Seconds since the epoch; Max-Age goes before Expires (RFC 6265, 5.3). Infinite: with the connection."""
    max_age = str(morsel["max-age"])
    if _MAX_AGE(max_age):
        return now + float(max_age)
    if morsel["expires"]:
        if isinstance(morsel["expires"], int):  # http.cookies takes it as seconds from now
            return now + morsel["expires"]
        try:
            return parsedate_to_datetime(morsel["expires"]).timestamp()
        except (TypeError, ValueError, OverflowError):
            return math.inf
    return math.inf
