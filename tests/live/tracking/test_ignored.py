"""LIVE_IGNORE: what it takes, what the checks say, and what the tables are made of."""

from __future__ import annotations

import pytest
from django.core.checks import run_checks
from django.db.models import CASCADE, ForeignKey, Model
from django.test import override_settings

from tests.live.tracking.shop.models import InShop, Shelf
from wsrequest.conf import LIVE_IGNORE, get_settings, problems
from wsrequest.livequery.tables import all_tables


def ignoring(*entries):
    return override_settings(WSREQUEST={"LIVE_IGNORE": entries})


def errors():
    return [message.msg for message in run_checks() if message.id == "wsrequest.E006"]


def test_the_default_is_fine_whatever_is_installed():
    assert get_settings().live_ignore == LIVE_IGNORE
    assert errors() == []
    tables = all_tables()
    assert "django_session" not in tables
    assert tables["auth_user"].ignored == {"last_login"}


@pytest.mark.parametrize(
    "entry", ["auth.User", "auth.User.is_staff", "AUTH_USER_MODEL", "AUTH_USER_MODEL.email"]
)
def test_what_it_takes(entry):
    with ignoring(entry):
        assert (problems(), errors()) == ([], [])
        table = all_tables().get("auth_user")
        column = entry.rpartition(".")[2]
        assert table is None if column in ("User", "AUTH_USER_MODEL") else table.ignored == {column}


@pytest.mark.parametrize(
    "entry", ["auth.Nobody", "nowhere.User", "auth.User.no_column", "auth.User.groups"]
)
def test_what_names_nothing(entry):
    with ignoring(entry):
        assert problems() == []
        assert len(errors()) == 1
        assert repr(entry) in errors()[0]
        assert all_tables()["auth_user"].ignored == frozenset()


@pytest.mark.parametrize(
    "value", ["auth.User", ["User"], ["a.b.c.d"], [7], {"auth.User": 1}, [""], ["AUTH_USER_MODEL."]]
)
def test_what_it_does_not_take(value):
    with override_settings(WSREQUEST={"LIVE_IGNORE": value}):
        assert problems() == [
            'WSREQUEST[\'LIVE_IGNORE\'] must be a list of names such as "app.Model" and "app.Model.field".'
        ]
        assert errors() == []


def test_nothing_may_be_ignored():
    with ignoring():
        assert problems() == []
        assert "django_session" in all_tables()


def test_tables_are_known_by_what_they_are():
    tables = all_tables()
    assert (tables["shop_book"].key, tables["shop_book"].numbered) == ("id", True)
    assert (tables["shop_novel"].key, tables["shop_novel"].numbered) == ("book_ptr_id", False)
    assert tables["shop_place"].key == ""
    assert tables["shop_book_tags"].key == "id"
    assert tables["shop_author"].emptied_with == {"shop_book", "shop_book_tags", "shop_novel"}
    assert tables["shop_author"].deleted_with == frozenset()


def test_a_model_that_is_made_later_is_known():
    class Later(InShop):
        class Meta(InShop.Meta):
            abstract = False
            db_table = '"elsewhere"."Later"'

    class SameTable(InShop):
        label = ForeignKey(Shelf, CASCADE, primary_key=True)

        class Meta(InShop.Meta):
            abstract = False
            db_table = "later"

    try:
        table = all_tables()["later"]
        assert (table.key, table.numbered) == ("", False)
        assert issubclass(Later, Model)
    finally:
        registry = InShop._meta.apps
        for model in (Later, SameTable):
            del registry.all_models["shop"][model._meta.model_name]
        registry.clear_cache()
