"""A connection's cookies: the handshake's, kept up to date by responses, so that a login over the socket holds."""

from __future__ import annotations

import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http.cookies import Morsel, SimpleCookie


@dataclass(slots=True)
class _Cookie:
    value: str
    secure: bool = False
    expires: float | None = None


class CookieJar:
    """The cookies of one connection, by the rules of RFC 6265 that matter for a single host.

    The handshake's Cookie header tells names and values only; a response's Set-Cookie of the same name replaces
    them, whatever its path.
    """

    def __init__(self, header: str = "") -> None:
        """``header`` is the handshake's Cookie header."""
        self._cookies: dict[tuple[str, str | None], _Cookie] = {}
        for pair in header.split(";"):
            name, separator, value = pair.strip().partition("=")
            if name or separator:
                self._cookies[name, None] = _Cookie(value)
        self._everywhere: str | None = None
        self._cache()

    def header_for(self, path: str, *, secure: bool) -> str:
        """The Cookie header for a request of this path ("" for none)."""
        if self._everywhere is not None:
            return self._everywhere
        now = time.time()
        return "; ".join(
            f"{name}={cookie.value}" if name else cookie.value
            for (name, cookie_path), cookie in self._cookies.items()
            if (secure or not cookie.secure)
            and (cookie.expires is None or cookie.expires > now)
            and _path_matches(path, cookie_path)
        )

    def update(self, cookies: SimpleCookie) -> None:
        """Take over what a response set; a past expiry deletes."""
        now = time.time()
        for name, morsel in cookies.items():
            path = morsel["path"] or "/"
            self._cookies.pop((name, None), None)
            self._cookies.pop((name, path), None)
            expires = _expires(morsel, now)
            if expires is None or expires > now:
                self._cookies[name, path] = _Cookie(
                    morsel.coded_value, bool(morsel["secure"]), expires
                )
        self._cache()

    def _cache(self) -> None:
        """The header as one string while no cookie depends on the request's path, scheme or time."""
        plain = all(
            path in (None, "/") and not cookie.secure and cookie.expires is None
            for (_, path), cookie in self._cookies.items()
        )
        self._everywhere = None
        if plain:
            self._everywhere = self.header_for("/", secure=False)


def public_cookies(cookies: SimpleCookie) -> dict[str, dict[str, str | bool]]:
    """What a client may know of the cookies that a response set: attributes, and values that are not HttpOnly."""
    told: dict[str, dict[str, str | bool]] = {}
    for name, morsel in cookies.items():
        told[name] = {key: value for key, value in morsel.items() if value}
        if not morsel["httponly"]:
            told[name]["value"] = morsel.value
    return told


def _path_matches(path: str, cookie_path: str | None) -> bool:
    """RFC 6265, 5.1.4."""
    if cookie_path is None or path == cookie_path:
        return True
    return path.startswith(cookie_path if cookie_path.endswith("/") else f"{cookie_path}/")


def _expires(morsel: Morsel[str], now: float) -> float | None:
    """Seconds since the epoch; Max-Age goes before Expires (RFC 6265, 5.3). None: with the connection."""
    max_age = str(morsel["max-age"])
    if max_age.lstrip("-").isdigit():
        return now + int(max_age) if int(max_age) > 0 else 0.0
    if morsel["expires"]:
        try:
            return parsedate_to_datetime(morsel["expires"]).timestamp()
        except ValueError:
            return None
    return None
