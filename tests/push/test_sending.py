"""publish(), notify(), touch() and disconnect(): when it is said, what may be said, and from where."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import django
import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser, Group
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, connections, transaction
from django.db.transaction import TransactionManagementError
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path, reverse_lazy
from django.utils.functional import SimpleLazyObject
from django.utils.safestring import mark_safe
from pytest_django.fixtures import Settings

import wsrequest
from tests.metrics.recorder import recorder
from tests.project.models import Note, Order
from tests.push.told import Away, Ear, Listening, Outbox, data_of, published
from tests.support.memory import connection as memory_connection
from wsrequest.errors import BrokerUnavailable, ConfigurationError
from wsrequest.log import throttle
from wsrequest.protocol.messages import RESERVED_EVENTS
from wsrequest.push import sending, targets
from wsrequest.push.brokers import broker_of
from wsrequest.push.publication import Dismissed, Noticed, Touched, Written

pytestmark = pytest.mark.usefixtures("no_notes")

URL = "/orders/42/"
HERE = "tests.push.told"

BROKERS = {
    "default": {"BACKEND": "wsrequest.push.brokers.memory.MemoryBroker"},
    "away": {"BACKEND": f"{HERE}.Away"},
    "wrong": {"BACKEND": f"{HERE}.Wrong"},
    "outbox": {"BACKEND": f"{HERE}.Outbox"},
    "nowhere": {"BACKEND": f"{HERE}.Nowhere"},
}
TOPICS = {f"/{alias}/*": {"BROKER": alias} for alias in BROKERS}

Say = Callable[..., None]


def pairs(name: str) -> list[Any]:
    """The function, and its asynchronous twin called by synchronous code, with a transaction around it perhaps."""
    return [
        pytest.param(getattr(wsrequest, name), id=name),
        pytest.param(async_to_sync(getattr(wsrequest, f"a{name}")), id=f"a{name}"),
    ]


@pytest.fixture(autouse=True)
def configured(settings: Settings) -> None:
    settings.WSREQUEST = {"BROKERS": BROKERS, "TOPICS": TOPICS}
    settings.ROOT_URLCONF = __name__
    throttle.reset()


@pytest.fixture(params=pairs("publish"))
def publish(request: pytest.FixtureRequest) -> Say:
    return request.param


@contextmanager
def rolled_back() -> Iterator[None]:
    """A transaction, or a savepoint."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


@pytest.fixture
def other(tmp_path: Path) -> Iterator[str]:
    """A second database."""
    options = {**connections.settings["default"], "NAME": str(tmp_path / "other.sqlite3")}
    connections.settings["other"] = options
    yield "other"
    connections["other"].close()
    del connections["other"], connections.settings["other"]


@pytest.fixture
def listening() -> Iterator[Callable[..., Listening]]:
    made: list[Listening] = []

    def listen(*topics: str) -> Listening:
        made.append(Listening(*topics))
        return made[-1]

    yield listen
    for each in made:
        each.close()


# --- when ----------------------------------------------------------------------------------------


def test_without_a_transaction_at_once(publish: Say) -> None:
    assert publish(URL, {"status": "paid"}, event="paid") is None
    (said,) = published(URL)
    assert (said.event, bytes(said.data), said.to) == ("paid", b'{"status": "paid"}', None)


def test_in_a_transaction_after_the_commit_and_in_order(publish: Say) -> None:
    with transaction.atomic():
        Note.objects.create(slug="a")
        publish(URL, 1)
        publish(URL, 2)
        assert data_of(URL) == []
    assert data_of(URL) == [1, 2]


def test_after_a_rollback_not_at_all(publish: Say) -> None:
    def fails() -> None:
        with transaction.atomic():
            publish(URL, 1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    with rolled_back():
        publish(URL, 2)
    publish(URL, 3)
    assert data_of(URL) == [3]


def test_a_savepoint_takes_its_own_with_it(publish: Say) -> None:
    with transaction.atomic():
        publish(URL, "outer")
        with rolled_back():
            publish(URL, "rolled back")
        with transaction.atomic():
            publish(URL, "inner")
        assert data_of(URL) == []
    assert data_of(URL) == ["outer", "inner"]


def test_a_nested_block_waits_for_the_outermost(publish: Say) -> None:
    with rolled_back():
        with transaction.atomic():
            publish(URL, 1)
        with transaction.atomic(savepoint=False):
            publish(URL, 2)
    assert data_of(URL) == []


def test_the_transaction_is_that_of_the_database_named(publish: Say, other: str) -> None:
    with transaction.atomic(using=other):
        publish(URL, "default")
        publish(URL, "other", using=other)
        assert data_of(URL) == ["default"]
        with transaction.atomic():
            publish(URL, "default again")
            publish(URL, "other again", using=other)
        assert data_of(URL) == ["default", "default again"]
    assert data_of(URL) == ["default", "default again", "other", "other again"]


def test_at_once_where_that_is_asked_for(publish: Say) -> None:
    with rolled_back():
        publish(URL, 1, on_commit=False)
        assert data_of(URL) == [1]
    assert data_of(URL) == [1]


def test_without_autocommit_there_is_no_end_to_wait_for(publish: Say) -> None:
    transaction.set_autocommit(False)
    try:
        with pytest.raises(TransactionManagementError, match="on_commit"):
            publish(URL, 1)
        publish(URL, 2, on_commit=False)
    finally:
        transaction.rollback()
        transaction.set_autocommit(True)
    assert data_of(URL) == [2]


def test_what_is_said_is_what_it_was_at_the_call(publish: Say) -> None:
    data = {"lines": [1]}
    with transaction.atomic():
        publish(URL, data)
        data["lines"].append(2)
    assert data_of(URL) == [{"lines": [1]}]


def test_what_cannot_be_sent_is_said_at_the_call_and_not_after_the_commit(publish: Say) -> None:
    with transaction.atomic():
        with pytest.raises(TypeError, match="data"):
            publish(URL, object())
        with pytest.raises(ConfigurationError, match="'nowhere'"):
            publish("/nowhere/1/", 1)
        Note.objects.create(slug="saved")
    assert Note.objects.filter(slug="saved").exists()


@pytest.mark.parametrize("name", ["notify", "disconnect", "touch"])
@pytest.mark.parametrize("twin", ["", "a"])
def test_words_wait_for_the_commit_too(
    name: str, twin: str, listening: Callable[..., Listening]
) -> None:
    found = getattr(wsrequest, twin + name)
    say = async_to_sync(found) if twin else found
    arguments = {"notify": (7, "news", 1), "disconnect": (7,), "touch": (URL,)}[name]
    ear = listening(URL)
    with rolled_back():
        say(*arguments)
    assert ear.words == []
    with transaction.atomic():
        say(*arguments)
        assert ear.words == []
    assert len(ear.words) == 1
    with transaction.atomic():
        say(*arguments, on_commit=False)
        assert len(ear.words) == 2
    say(*arguments)
    assert len(ear.words) == 3


# --- when the broker is away ---------------------------------------------------------------------


def test_at_once_it_is_an_error(publish: Say) -> None:
    with pytest.raises(BrokerUnavailable):
        publish("/away/1/", 1)
    with transaction.atomic(), pytest.raises(BrokerUnavailable):
        publish("/away/1/", 1, on_commit=False)


def test_after_the_commit_it_is_logged_and_counted(
    publish: Say, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    recorder.reset()
    settings.WSREQUEST = {**settings.WSREQUEST, "METRICS": "tests.metrics.recorder.recorder"}
    with transaction.atomic():
        Note.objects.create(slug="saved")
        publish(["/away/1/", "/away/2/", URL], 1)
        publish(URL, 2)
    assert Note.objects.filter(slug="saved").exists()
    assert data_of(URL) == [1, 2]
    said = [record for record in caplog.records if record.name == "wsrequest.push"]
    assert [record.levelno for record in said] == [logging.ERROR] * 2
    assert "what is for '/away/1/'" in said[0].getMessage()
    assert isinstance(said[0].exc_info, tuple)
    assert recorder.value("publish_failures") == 2
    away = broker_of("away")
    assert isinstance(away, Away)
    assert away.asked == 1  # it is not waited for twice


def test_without_metrics_it_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with transaction.atomic():
        wsrequest.touch("/away/1/")
    (said,) = caplog.records
    assert "After a commit" in said.getMessage()


def test_connections_that_could_not_be_told_are_logged_as_such(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.WSREQUEST = {"BROKERS": {"default": BROKERS["away"]}}
    with transaction.atomic():
        wsrequest.notify(7, "news")
    assert "what is for connections" in caplog.records[0].getMessage()


def test_a_bug_in_a_broker_does_not_break_who_has_committed(
    publish: Say, caplog: pytest.LogCaptureFixture
) -> None:
    with transaction.atomic():
        publish("/wrong/1/", 1)
        publish(URL, 2)
    assert data_of(URL) == [2]
    assert any(record.exc_info[0] is ZeroDivisionError for record in caplog.records)


def test_a_request_whose_data_is_saved_is_answered(settings: Settings) -> None:
    settings.DATABASES["default"]["ATOMIC_REQUESTS"] = True
    try:
        assert Client().get("/save-and-publish/away/").content == b"saved"
    finally:
        settings.DATABASES["default"]["ATOMIC_REQUESTS"] = False
    assert Note.objects.filter(slug="away").exists()


# --- a broker that takes part in transactions ----------------------------------------------------


def test_its_events_are_written_in_the_transaction(publish: Say, other: str) -> None:
    outbox = broker_of("outbox")
    assert isinstance(outbox, Outbox)
    with transaction.atomic():
        publish("/outbox/1/", 1)
        assert outbox.in_transaction == [True]
        assert data_of("/outbox/1/", "outbox") == [1]
    publish("/outbox/1/", 2)
    assert outbox.in_transaction == [True, False]
    with transaction.atomic(using=other):
        publish("/outbox/1/", 3, using=other)
        assert len(outbox.in_transaction) == 2
    assert len(outbox.in_transaction) == 3


def test_with_others_each_in_its_own_way(publish: Say) -> None:
    with transaction.atomic():
        publish(["/outbox/1/", URL], 1)
        assert data_of("/outbox/1/", "outbox") == [1]
        assert data_of(URL) == []
    assert data_of(URL) == [1]


def test_its_words_wait_as_all_others(settings: Settings) -> None:
    with closing(Listening("/outbox/1/", broker=broker_of("outbox"))) as ear:
        with rolled_back():
            wsrequest.touch("/outbox/1/")
        assert ear.words == []
        wsrequest.touch("/outbox/1/")
        assert ear.words == [("/outbox/1/", Touched())]


# --- what ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "topic"),
    [
        ("/orders/42/?page=2", URL),
        ("/orders/42/#top", URL),
        ("/orders/%34%32/", URL),
        (mark_safe(URL), URL),
        (reverse_lazy("order", args=[42]), URL),
        ("/caf\u00e9 au lait/", "/caf%C3%A9%20au%20lait/"),
        ("@orders/42", "@orders/42"),
        ("@100%/a?b#c", "@100%25/a%3Fb%23c"),
    ],
)
def test_a_url_names_its_topic(publish: Say, url: Any, topic: str) -> None:
    publish(url, 1)
    assert data_of(topic) == [1]


def test_several_urls_each_on_its_own_and_once(publish: Say) -> None:
    publish(iter([URL, reverse_lazy("order", args=[7]), "/orders/42/?again"]), 1)
    assert data_of(URL) == data_of("/orders/7/") == [1]
    publish([], 2)
    publish((URL,), 3)
    assert data_of(URL) == [1, 3]


@pytest.mark.parametrize(
    ("url", "error"),
    [
        *[
            (url, ValueError)
            for url in ("", "orders/42/", "order", "@", "?page=2", "//host/orders/")
        ],
        *[
            (url, ValueError)
            for url in ("https://host/orders/", "app:order", "/half\ud83d/", "@\ud83d")
        ],
        *[(url, TypeError) for url in (None, 42, b"/orders/", [42], [b"/"], b"/")],
    ],
)
def test_what_is_no_url(publish: Say, url: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"url_or_urls: "):
        publish(url, 1)


def test_a_model_is_no_url_and_the_error_says_what_is() -> None:
    with pytest.raises(TypeError, match=r"touch\(\): it takes models, instances of them and names"):
        wsrequest.touch(Note.objects)  # type: ignore[arg-type]
    for wrong in (Note, Note(slug="a"), Note.objects):
        with pytest.raises(TypeError, match="url_or_urls"):
            wsrequest.publish(wrong, 1)


@pytest.mark.parametrize(
    ("data", "heard"),
    [
        (None, None),
        ({"a": [1, 2.5, True, "\U0001f600\u00e9"]}, {"a": [1, 2.5, True, "\U0001f600\u00e9"]}),
        (date(2014, 5, 1), "2014-05-01"),
        (Decimal("1.50"), "1.50"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (reverse_lazy("order", args=[7]), "/orders/7/"),
        (2**70, 2**70),
    ],
)
def test_anything_that_django_writes_as_json(publish: Say, data: Any, heard: Any) -> None:
    publish(URL, data)
    assert data_of(URL) == [heard]


CIRCLE: list[Any] = []
CIRCLE.append(CIRCLE)

DEEP: list[Any] = []
for _ in range(100_000):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    ("data", "error"),
    [
        *[(data, ValueError) for data in (float("nan"), [float("inf")], "half \ud83d", CIRCLE)],
        *[(data, TypeError) for data in (b"bytes", object(), {(1, 2): 3}, {1, 2}, Note(slug="a"))],
    ],
)
def test_what_cannot_be_json(publish: Say, data: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"^data: "):
        publish(URL, data)
    with pytest.raises(error, match=r"^data: "):
        wsrequest.notify(7, "news", data)


def test_what_is_nested_too_deep() -> None:
    with pytest.raises(ValueError, match=r"^data: it is nested too deep"):
        wsrequest.publish(URL, DEEP)


@pytest.mark.parametrize(
    ("event", "error"),
    [
        *[(name, ValueError) for name in (*sorted(RESERVED_EVENTS), "", "half \ud83d")],
        *[(name, TypeError) for name in (5, None, b"news")],
    ],
)
def test_what_cannot_be_the_name_of_an_event(
    publish: Say, event: Any, error: type[Exception]
) -> None:
    with pytest.raises(error, match=r"^event: "):
        publish(URL, 1, event=event)
    with pytest.raises(error, match=r"^event: "):
        wsrequest.notify(7, event, 1)


# --- for whom ------------------------------------------------------------------------------------

UID = UUID(int=7)


def user(key: int) -> Any:
    return get_user_model()(pk=key)


class TokenUser:
    """As packages for tokens make them: no model."""

    pk = 7


@pytest.mark.parametrize(
    ("to", "keys"),
    [
        (7, {"7"}),
        ("ada", {"ada"}),
        (UID, {str(UID)}),
        (user(7), {"7"}),
        (SimpleLazyObject(lambda: user(7)), {"7"}),
        (TokenUser(), {"7"}),
        ([7, "ada", user(9), UID, 7], {"7", "ada", "9", str(UID)}),
        ({7, 9}, {"7", "9"}),
        ((key for key in (7, 9)), {"7", "9"}),
    ],
)
def test_users(to: Any, keys: set[str]) -> None:
    wsrequest.publish(URL, 1, to=to)
    assert published(URL)[0].to == keys


def test_users_of_a_query() -> None:
    users = get_user_model().objects.filter(username__in=("bob", "eve"))
    for name in ("bob", "eve"):
        get_user_model().objects.create_user(name)
    wsrequest.publish(URL, 1, to=users)
    wsrequest.publish(URL, 1, to=users.values_list("pk", flat=True))
    keys = {str(each.pk) for each in users}
    assert len(keys) == 2
    assert [each.to for each in published(URL)] == [keys, keys]


def test_nobody_is_not_everybody(publish: Say) -> None:
    publish(URL, 1, to=[])
    publish(URL, 2, to=get_user_model().objects.none())
    publish(URL, 3, to=None)
    assert [(bytes(each.data), each.to) for each in published(URL)] == [(b"3", None)]


@pytest.mark.parametrize(
    ("to", "error"),
    [
        *[(to, TypeError) for to in (True, 1.5, b"ada", {"ada": 1}, object(), [None], [[7]])],
        *[(to, TypeError) for to in (get_user_model(), Group(pk=7), [Group(pk=7)], [b"a"])],
        *[(to, ValueError) for to in (AnonymousUser(), user(None), "", [""])],  # type: ignore[arg-type]
    ],
)
def test_who_is_no_user(publish: Say, to: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"^to: "):
        publish(URL, 1, to=to)
    assert published(URL) == []


def test_without_a_user_model_any_instance_may_be_a_user(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> None:
        raise ImproperlyConfigured

    monkeypatch.setattr(targets, "get_user_model", none)
    wsrequest.publish(URL, 1, to=Group(pk=7))
    assert published(URL)[0].to == {"7"}


@pytest.mark.parametrize("notify", pairs("notify"))
@pytest.mark.parametrize(
    ("target", "found"),
    [
        (7, {"user": "7"}),
        (UID, {"user": str(UID)}),
        (user(7), {"user": "7"}),
        ("a-connection", {"connection": "a-connection"}),
        ("7", {"connection": "7"}),
        (wsrequest.EVERYONE, {}),
    ],
)
def test_notices(
    notify: Say, target: Any, found: dict[str, str], listening: Callable[..., Listening]
) -> None:
    ear = listening()
    notify(target, "news", {"n": 1})
    notify(target, "bare")
    first, second = (word for topic, word in ear.words if topic is None)
    assert isinstance(first, Noticed)
    assert isinstance(second, Noticed)
    assert (first.event, bytes(first.data)) == ("news", b'{"n": 1}')
    assert (second.event, bytes(second.data)) == ("bare", b"null")
    heard = {name: getattr(first, name) for name in ("user", "connection")}
    assert heard == {"user": None, "connection": None, **found}


@pytest.mark.parametrize("disconnect", pairs("disconnect"))
def test_dismissals(disconnect: Say, listening: Callable[..., Listening]) -> None:
    ear = listening()
    disconnect(user(7))
    disconnect("a-connection", code=4000)
    disconnect(7, code=4999)
    assert [word for _, word in ear.words] == [
        Dismissed(4010, user="7"),
        Dismissed(4000, connection="a-connection"),
        Dismissed(4999, user="7"),
    ]


@pytest.mark.parametrize(
    ("target", "error"),
    [
        *[(target, TypeError) for target in (None, True, 1.5, [7], Group(pk=7), b"a", object())],
        *[(target, ValueError) for target in ("", AnonymousUser())],
    ],
)
def test_who_is_no_target(target: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"^target: "):
        wsrequest.notify(target, "news")
    with pytest.raises(error, match=r"^user_or_connection_id: "):
        wsrequest.disconnect(target)


def test_everyone_cannot_be_disconnected_at_once() -> None:
    with pytest.raises(TypeError, match="user_or_connection_id"):
        wsrequest.disconnect(wsrequest.EVERYONE)  # type: ignore[arg-type]
    assert repr(wsrequest.EVERYONE) == "wsrequest.EVERYONE"


@pytest.mark.parametrize("code", [3999, 5000, 1000, "4010", 4010.0, None, True])
def test_codes_are_those_of_applications(code: Any) -> None:
    with pytest.raises(ValueError, match=r"^code: "):
        wsrequest.disconnect(7, code=code)


@pytest.mark.parametrize("touch", pairs("touch"))
def test_touches(touch: Say, listening: Callable[..., Listening]) -> None:
    ear = listening(URL, "/orders/7/", "@mine")
    touch(URL, reverse_lazy("order", args=[7]), "/orders/42/?page=2", "@mine")
    touch()
    assert ear.words == [(topic, Touched()) for topic in (URL, "/orders/7/", "@mine")]


@pytest.mark.parametrize("touch", pairs("touch"))
def test_touching_rows_and_names(touch: Say, listening: Callable[..., Listening]) -> None:
    ear = listening(URL)
    touch(Note, Note(slug="A"), "weather", URL)
    touch(Order(pk=7), Order(pk=8))
    with pytest.raises(ValueError, match="no primary key"):
        touch(Order())
    for wrong in ("", "//x/", "orders/7", "@"):
        with pytest.raises(ValueError, match=r"touch\(\): "):
            touch(wrong)
    assert ear.words == [
        (URL, Touched()),
        (None, Written({"project_note": None, "name:weather": None})),
        (None, Written({"project_order": ["7", "8"]})),
    ]


# --- from where ----------------------------------------------------------------------------------


def save_and_publish(request: HttpRequest, slug: str) -> HttpResponse:
    Note.objects.create(slug=slug)
    wsrequest.publish([URL, f"/{slug}/1/"], slug)
    seen = data_of(URL)
    return HttpResponse(f"too early: {seen}" if seen else "saved")


async def asave_and_publish(request: HttpRequest, slug: str) -> HttpResponse:
    await Note.objects.acreate(slug=slug)
    await wsrequest.apublish(URL, slug)
    wsrequest.publish(URL, f"{slug} again")
    await sync_to_async(wsrequest.publish)(URL, f"{slug} from a thread")
    return HttpResponse("saved")


urlpatterns = [
    path("save-and-publish/<slug>/", save_and_publish),
    path("asave-and-publish/<slug>/", asave_and_publish),
    path("orders/<int:pk>/", save_and_publish, name="order"),
]


def test_a_thread_without_a_loop_needs_none_and_opens_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As in a worker of Celery."""
    broker_of()
    problems: list[str] = []
    threads: list[set[threading.Thread]] = []

    def refuse(*args: Any) -> None:
        problems.append("a loop was made")

    def work() -> None:
        before = set(threading.enumerate())
        wsrequest.publish(URL, 1)
        wsrequest.notify(7, "news")
        wsrequest.touch(URL)
        wsrequest.disconnect(7)
        threads.append(set(threading.enumerate()) - before)
        if connection.connection is not None:
            problems.append("a database connection was opened")

    for module in (asyncio, asyncio.events):
        monkeypatch.setattr(module, "new_event_loop", refuse)
    worker = threading.Thread(target=work)
    worker.start()
    worker.join()
    assert problems == []
    assert threads == [set()]
    assert data_of(URL) == [1]


async def test_on_a_running_loop() -> None:
    ear = Ear()
    listener = broker_of().listen(asyncio.get_running_loop(), ear)
    await listener.subscribe(URL)
    wsrequest.publish(URL, 1)
    wsrequest.touch(URL)
    await wsrequest.apublish(URL, 2)
    await wsrequest.anotify(7, "news")
    while len(ear.words) < 2:
        ear.heard.clear()
        await ear.heard.wait()
    assert [bytes(said.data) for _, said in ear.events] == [b"1", b"2"]
    assert [type(word) for _, word in ear.words] == [Touched, Noticed]
    await listener.close()


async def test_asynchronous_code_of_no_transaction_does_not_wait_for_a_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(function: Callable[..., Any]) -> None:
        raise AssertionError(function)

    monkeypatch.setattr(sending, "sync_to_async", refuse)
    await wsrequest.apublish(URL, 1)
    await asyncio.create_task(wsrequest.apublish(URL, 2))
    assert data_of(URL) == [1, 2]


def test_tasks_of_asynchronous_code_that_a_transaction_waits_for() -> None:
    async def both() -> None:
        await asyncio.gather(*(wsrequest.apublish(URL, number) for number in (1, 2)))
        await asyncio.create_task(wsrequest.apublish(URL, 3))

    with transaction.atomic():
        async_to_sync(both)()
        assert data_of(URL) == []
    assert data_of(URL) == [1, 2, 3]
    async_to_sync(both)()
    assert data_of(URL) == [1, 2, 3] * 2


def test_a_task_in_a_context_of_its_own_that_a_transaction_waits_for() -> None:
    async def alone() -> None:
        await asyncio.create_task(wsrequest.apublish(URL, 1), context=contextvars.Context())

    with transaction.atomic():
        async_to_sync(alone)()
        assert data_of(URL) == []
    assert data_of(URL) == [1]


async def test_a_transaction_below_asynchronous_code_that_waits_for_some_itself() -> None:
    """As in a synchronous view under ASGI: what it waits for runs on the server's own loop."""

    def work() -> None:
        try:
            with transaction.atomic():
                async_to_sync(wsrequest.apublish)(URL, 1)
                assert data_of(URL) == []
        finally:
            connections.close_all()

    await sync_to_async(work)()
    assert data_of(URL) == [1]


async def test_a_transaction_on_the_loop_s_own_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a notebook, where Django is told to allow it."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    with closing(connection):  # the loop's own
        with transaction.atomic():
            await wsrequest.apublish(URL, 1)
            assert data_of(URL) == []
        assert data_of(URL) == [1]


async def test_transactions_of_asynchronous_code_are_synchronous_functions() -> None:
    @transaction.atomic
    def work(*, fails: bool) -> None:
        wsrequest.publish(URL, fails)
        if fails:
            raise ZeroDivisionError

    try:
        with pytest.raises(ZeroDivisionError):
            await sync_to_async(work)(fails=True)
        await sync_to_async(work)(fails=False)
    finally:
        await sync_to_async(connections.close_all)()  # that thread's
    assert data_of(URL) == [False]


def test_a_view_over_http(settings: Settings) -> None:
    settings.DATABASES["default"]["ATOMIC_REQUESTS"] = True
    try:
        assert Client().get("/save-and-publish/a/").content == b"saved"
    finally:
        settings.DATABASES["default"]["ATOMIC_REQUESTS"] = False
    assert Client().get("/asave-and-publish/b/").content == b"saved"
    assert data_of(URL) == ["a", "b", "b again", "b from a thread"]


async def test_a_view_over_the_socket() -> None:
    async with memory_connection() as peer:
        peer.transport.push([{"id": 1, "url": "/asave-and-publish/b/"}])
        assert (await peer.transport.pull())["data"] == "saved"
    assert data_of(URL) == ["b", "b again", "b from a thread"]


@pytest.mark.skipif(django.VERSION < (6, 0), reason="django.tasks came with Django 6.0")
def test_a_task(settings: Settings) -> None:
    from django.tasks import task  # type: ignore[import-not-found]

    settings.TASKS = {"default": {"BACKEND": "django.tasks.backends.immediate.ImmediateBackend"}}
    task(announce).enqueue("from a task")
    assert data_of(URL) == ["from a task"]


def announce(text: str) -> None:
    wsrequest.publish(URL, text)
