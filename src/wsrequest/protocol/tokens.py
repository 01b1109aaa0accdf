"""What can be told of a token without knowing the key that signed it."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable

import msgspec

from wsrequest.errors import BadToken

#: A subprotocol entry that carries a token: this and the token in base64url, for clients that may not set headers.
TOKEN_ENTRY = "wsrequest.token."  # noqa: S105


class _Claims(msgspec.Struct):
    exp: float | None = None


_CLAIMS = msgspec.json.Decoder(_Claims)


def expiry(token: str) -> float | None:
    """When a JWT says that it expires (``exp``, seconds since 1970); None where it does not, or is no JWT.

    It is read, not verified: good for telling a client in time, and for nothing else.
    """
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        exp = _CLAIMS.decode(_from_base64url(parts[1])).exp
    except (ValueError, msgspec.DecodeError, RecursionError):
        return None
    return exp if exp is not None and math.isfinite(exp) else None


def token_among(subprotocols: tuple[str, ...]) -> str | None:
    """The token among the subprotocols that a client offers; the first, where there are several.

    Raises :class:`~wsrequest.errors.BadToken` where its entry holds none.
    """
    for entry in subprotocols:
        if entry.startswith(TOKEN_ENTRY):
            try:
                token = _from_base64url(entry.removeprefix(TOKEN_ENTRY)).decode()
            except ValueError:
                raise BadToken from None
            if not token or not token.isprintable():
                raise BadToken
            return token
    return None


def entry_of(token: str) -> str:
    """The entry among the subprotocols that carries this token."""
    encoded = base64.urlsafe_b64encode(token.encode())
    return TOKEN_ENTRY + encoded.decode().rstrip("=")


def first_without_token(subprotocols: Iterable[str]) -> str | None:
    """For who is refused by a close code: a browser that is given none of those that it offered shows none."""
    return next((name for name in subprotocols if not name.startswith(TOKEN_ENTRY)), None)


def without_tokens(header: str) -> str:
    """What a Sec-WebSocket-Protocol header offers besides tokens: no report of an error would blacken those there."""
    entries = (entry.strip() for entry in header.split(","))
    return ", ".join(entry for entry in entries if not entry.startswith(TOKEN_ENTRY))


def _from_base64url(text: str) -> bytes:
    """Padding may be missing, as it must in a JWT and in a subprotocol's name. Raises ValueError."""
    padded = text.encode("ascii") + b"=" * (-len(text) % 4)
    return base64.b64decode(padded, altchars=b"-_", validate=True)
