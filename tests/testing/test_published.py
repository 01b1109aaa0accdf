"""What is noted of what is published, and brokers of one's own."""

from __future__ import annotations

import uuid

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.test import TestCase, override_settings

from tests.project.models import Note
from wsrequest import (
    EVERYONE,
    adisconnect,
    anotify,
    apublish,
    atouch,
    disconnect,
    notify,
    publish,
    touch,
)
from wsrequest.errors import ConfigurationError
from wsrequest.push.brokers import broker_of
from wsrequest.push.brokers.base import Retention
from wsrequest.push.brokers.memory import MemoryBroker
from wsrequest.testing import Said, capture_published, isolated_brokers


class CaptureTest(TestCase):
    def test_everything_that_can_be_said(self) -> None:
        ada = User.objects.create_user("ada")
        with capture_published() as published:
            publish(["/a/", "/b/"], {"n": uuid.UUID(int=1)}, event="told")
            publish("/a/", [1], to=[ada])
            notify(EVERYONE, "all")
            notify(ada, "hers", 1)
            notify("connection", "its", None)
            touch("/a/", Note, Note(slug="x"))
            touch(Note(slug="x"))
            disconnect(ada)
            disconnect("connection", code=4200)
        told = {"n": str(uuid.UUID(int=1))}
        key = str(ada.pk)
        assert published == [
            Said("publish", "/a/", "told", told),
            Said("publish", "/b/", "told", told),
            Said("publish", "/a/", "message", [1], to=frozenset({key})),
            Said("notify", None, "all"),
            Said("notify", None, "hers", 1, user=key),
            Said("notify", None, "its", connection="connection"),
            Said("touch", "/a/"),
            Said("touch", rows={Note._meta.db_table: None}),
            Said("touch", rows={Note._meta.db_table: ["x"]}),
            Said("disconnect", user=key, code=4010),
            Said("disconnect", connection="connection", code=4200),
        ]
        assert [said.data for said in published.at("/a/?page=2")] == [told, [1], None]
        assert len(published.by("notify")) == 3

    def test_before_the_commit_and_without_one(self) -> None:
        with capture_published() as published, transaction.atomic():
            publish("/a/", 1)
            transaction.set_rollback(True)
        assert [said.data for said in published] == [1]

    def test_nested(self) -> None:
        with capture_published() as outer:
            publish("/a/", 1)
            with capture_published() as inner:
                publish("/a/", 2)
            publish("/a/", 3)
        publish("/a/", 4)
        assert [said.data for said in outer] == [1, 2, 3]
        assert [said.data for said in inner] == [2]

    async def test_asynchronous_twins(self) -> None:
        with capture_published() as published:
            await apublish("/a/", 1)
            await anotify(EVERYONE, "all")
            await atouch("/a/")
            await adisconnect("connection")
        assert [said.by for said in published] == ["publish", "notify", "touch", "disconnect"]


def test_isolated_brokers() -> None:
    retention = Retention(10, 10)
    broker_of().publish("/isolated/", b"{}", retention)
    with override_settings(
        WSREQUEST={
            "BROKERS": {
                "default": {
                    "BACKEND": "wsrequest.push.brokers.redis.RedisBroker",
                    "OPTIONS": {"url": "redis://127.0.0.1:1"},
                }
            }
        }
    ):
        with isolated_brokers():
            assert isinstance(broker_of(), MemoryBroker)
            assert broker_of().publish("/isolated/", b"{}", retention).offset == 1
            with isolated_brokers():
                assert broker_of().publish("/isolated/", b"{}", retention).offset == 1
            with pytest.raises(ConfigurationError):
                broker_of("other")
        assert not isinstance(broker_of(), MemoryBroker)
