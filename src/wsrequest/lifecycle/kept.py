"""A response as Django's cache keeps it: text, which every backend and every serializer takes."""

from __future__ import annotations

from http.cookies import Morsel, SimpleCookie
from typing import Any, cast

from django.http import HttpResponse
from msgspec import UNSET, Struct
from msgspec.json import Decoder, encode

from wsrequest.lifecycle.identity import Identity

#: Says that the answer is the first one's; Stripe's name for it.
REPLAYED = "Idempotency-Replayed"


class KeptAnswer(Struct, gc=False):
    """A whole response, and the marker of the request whose answer it is."""

    mark: str
    status: int
    reason: str | None
    headers: list[tuple[str, str]]
    body: bytes
    cookies: list[tuple[str, str, str, dict[str, Any]]]
    identity: Identity = UNSET

    def response(self) -> HttpResponse:
        """The response, and a header that says that it is not new."""
        response = HttpResponse(self.body, status=self.status, reason=self.reason)
        del response.headers["Content-Type"]
        for name, value in self.headers:
            response.headers[name] = value
        response.headers[REPLAYED] = "true"
        for name, value, coded_value, attributes in self.cookies:
            morsel: Morsel[str] = Morsel()
            morsel.set(name, value, coded_value)
            morsel.update(attributes)
            response.cookies[name] = morsel
        return response


_DECODER = Decoder(KeptAnswer)


def keep(response: HttpResponse, mark: str, identity: Identity) -> str:
    """What the cache is to hold."""
    cookies: SimpleCookie = response.cookies
    return encode(
        KeptAnswer(
            mark,
            response.status_code,
            cast("Any", response)._reason_phrase,
            list(response.headers.items()),
            response.content,
            [
                (
                    name,
                    str(morsel.value),
                    morsel.coded_value,
                    {k: v for k, v in morsel.items() if v},
                )
                for name, morsel in cookies.items()
            ],
            identity,
        )
    ).decode()


def read(kept: str | None, mark: str) -> KeptAnswer | None:
    """The answer; None where there is none, or it belongs to an earlier use of the key, which is forgotten."""
    if kept is None:
        return None
    answer = _DECODER.decode(kept)
    return answer if answer.mark == mark else None
