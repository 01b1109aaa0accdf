"""What an answer shows of whose a connection is."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject
from msgspec import UNSET

from wsrequest.conf import get_settings
from wsrequest.lifecycle.identity import Identity, Who, identity_of
from wsrequest.lifecycle.request import RequestFactory
from wsrequest.protocol.handshake import Handshake
from wsrequest.session.credentials import NOBODY, Credentials

SESSION, TOKEN = Who("7", by_session=True), Who("7", by_session=False)
OTHER = Who("8", by_session=False)
SAYS_NOBODY = Who(None, by_session=True)


class Told(list[str]):
    """A connection that keeps what its credentials tell it."""

    def token_expires(self, left: float) -> None:
        """Nothing here expires."""

    def user_forgotten(self) -> None:
        self.append("now")

    def token_replaced(self) -> None:
        """Each test sees it by the factory."""


async def credentials(who: Who, token: str | None) -> tuple[Credentials, list[str]]:
    forgotten = Told()
    factory = RequestFactory(Handshake(path="/ws/"), get_settings()).authorized(token)
    made = Credentials(factory, 60, forgotten)
    made.know(who)
    return made, forgotten


@pytest.mark.parametrize(
    ("who", "token", "identity", "status", "shown"),
    [
        # A user is a user, whoever it was before.
        (NOBODY, None, SESSION, 200, SESSION),
        (NOBODY, "t", TOKEN, 200, TOKEN),
        (TOKEN, "t", OTHER, 403, OTHER),
        (TOKEN, "t", SESSION, 200, SESSION),
        (SESSION, "t", OTHER, 200, OTHER),
        # The same again is nothing new, and neither is a view that did not care.
        (TOKEN, "t", TOKEN, 200, None),
        (SESSION, None, UNSET, 200, None),
        (TOKEN, "t", UNSET, 403, None),
        # A session without a user speaks of whom the session had shown, or where there is no token.
        (SESSION, None, SAYS_NOBODY, 200, SAYS_NOBODY),
        (SESSION, "t", SAYS_NOBODY, 200, SAYS_NOBODY),
        (TOKEN, None, SAYS_NOBODY, 200, SAYS_NOBODY),
        (TOKEN, "t", SAYS_NOBODY, 200, None),
        # A 401 speaks of whom the token had shown.
        (TOKEN, "t", UNSET, 401, NOBODY),
        (TOKEN, "t", SAYS_NOBODY, 401, NOBODY),
        (TOKEN, "t", TOKEN, 401, None),
        (NOBODY, "t", UNSET, 401, None),
        (TOKEN, None, UNSET, 401, None),
        (SESSION, "t", UNSET, 401, None),
    ],
)
async def test_what_an_answer_shows(
    who: Who, token: str | None, identity: Identity, status: int, shown: Who | None
) -> None:
    made, _ = await credentials(who, token)
    assert made.judge(made.era, identity, status) == shown


async def test_an_answer_of_an_earlier_era_shows_nothing() -> None:
    made, _ = await credentials(TOKEN, "t")
    era, factory = made.era_of(made.factory), made.factory
    made.replace("u")
    assert made.judge(era, OTHER, 200) is None
    # A request that has waited bears the earlier token, and is of no era.
    assert made.judge(made.era_of(factory), OTHER, 200) is None
    assert made.judge(made.era_of(made.factory), OTHER, 200) == OTHER


@pytest.mark.parametrize(("who", "left"), [(TOKEN, NOBODY), (SESSION, SESSION), (NOBODY, NOBODY)])
async def test_with_the_token_goes_whom_it_had_shown(who: Who, left: Who) -> None:
    made, forgotten = await credentials(who, "t")
    made.replace(None)
    assert made.who == left
    assert len(forgotten) == (who is TOKEN)


# --- identity_of -----------------------------------------------------------------------------------


def user(key: Any = 7, *, known: bool = True) -> Any:
    return SimpleNamespace(pk=key, is_authenticated=known)


def session(**data: Any) -> Any:
    return SimpleNamespace(_session_cache=data)


def unread() -> Any:
    raise AssertionError


@pytest.mark.parametrize(
    ("attributes", "identity"),
    [
        ({}, UNSET),
        ({"user": None}, UNSET),
        ({"user": SimpleLazyObject(unread), "session": SimpleNamespace()}, UNSET),
        ({"user": user()}, TOKEN),
        ({"user": user("a-uuid")}, Who("a-uuid", by_session=False)),
        ({"user": user(None)}, UNSET),
        ({"user": object()}, UNSET),
        ({"user": user(known=False)}, UNSET),
        ({"user": user(), "session": session(_auth_user_id="7")}, SESSION),
        ({"user": user(), "session": session(_auth_user_id="8")}, TOKEN),
        ({"user": user(), "session": session(), "_cached_user": user(known=False)}, TOKEN),
        ({"_cached_user": user(known=False), "session": session()}, SAYS_NOBODY),
        ({"_cached_user": user(), "session": session()}, SAYS_NOBODY),
        ({"_cached_user": user(), "session": session(_auth_user_id="7")}, SESSION),
        ({"_acached_user": user(), "session": session(_auth_user_id="7")}, SESSION),
        # Logged out in the view, and the session replaced by one that nobody has read.
        ({"user": user(known=False), "_cached_user": user(), "session": object()}, SAYS_NOBODY),
    ],
)
def test_who_a_request_was(attributes: dict[str, Any], identity: Identity) -> None:
    request = HttpRequest()
    request.__dict__.update(attributes)
    assert identity_of(request) == identity


def test_a_lazy_user_that_was_asked_for_counts() -> None:
    request = HttpRequest()
    lazy = SimpleLazyObject(user)
    assert lazy.pk == 7
    request.__dict__["user"] = lazy
    assert identity_of(request) == TOKEN
