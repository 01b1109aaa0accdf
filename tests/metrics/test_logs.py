"""What is logged on a real server, and what stands on the records."""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable, Iterator
from traceback import TracebackException

import pytest
from pytest_django.fixtures import Settings
from websockets.exceptions import InvalidStatus

from tests.project.gates import Gate
from tests.support.client import connect
from tests.support.memory import connection
from tests.support.server import ServerThread
from wsrequest.log import MOST_SHOWN, Throttle, shown

Find = Callable[..., list[logging.LogRecord]]

SECRET = "s3cr3t-" + "x" * 20
UNSAFE = "\r\nFORGED \x1b[31m\x00\u2028\ud800"


@pytest.fixture
def found(caplog: pytest.LogCaptureFixture) -> Find:
    """The records of the package, by logger and level."""
    caplog.set_level(logging.DEBUG, "wsrequest")

    def find(name: str, level: int) -> list[logging.LogRecord]:
        return [
            record for record in caplog.records if (record.name, record.levelno) == (name, level)
        ]

    return find


@pytest.fixture(autouse=True)
def one_line_each(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No record of ours is more than a line, or says what must not be said."""
    yield
    for record in caplog.records:
        if record.name.startswith("wsrequest"):
            text = record.getMessage()
            assert text.isprintable(), text
            assert "s3cr3t" not in text
            assert hasattr(record, "connection_id") or record.name == "wsrequest"


async def test_a_connection_opens_and_closes(server: ServerThread, found: Find) -> None:
    async with connect(server.ws) as peer:
        assert peer.hello is not None
        name = peer.hello["data"]["connection"]
        await peer.socket.close(3333)
    await server.connections_gone()
    opened, closed = found("wsrequest.connection", logging.DEBUG)
    assert opened.getMessage() == (
        f"Connection {name} from '127.0.0.1' opened (subprotocol wsrequest.v1.json)"
    )
    assert closed.getMessage().startswith(
        f"Connection {name} from '127.0.0.1' closed by the peer with 3333 after "
    )
    assert opened.connection_id == closed.connection_id == name
    assert opened.message_id is closed.message_id is None
    assert closed.close_code == 3333
    assert closed.duration >= 0


async def test_a_peer_that_breaks_off(server: ServerThread, found: Find) -> None:
    async with connect(server.ws) as peer:
        peer.abort()
    await server.connections_gone()
    assert found("wsrequest.connection", logging.DEBUG)[-1].close_code in (1005, 1006)
    assert found("wsrequest.connection", logging.WARNING) == []


@pytest.mark.parametrize(
    ("configured", "code", "why"),
    [
        ({"PING_INTERVAL": 0.1}, 4201, "it is silent"),
        ({"IDLE_ANONYMOUS_TIMEOUT": 0.1}, 4011, "idle without a user"),
        ({"MESSAGE_BURST": 1, "MESSAGES_PER_SECOND": 0.01}, 4029, "too many messages"),
    ],
)
async def test_a_limit_that_is_hit_is_worth_a_warning(
    server: ServerThread,
    settings: Settings,
    found: Find,
    configured: dict[str, float],
    code: int,
    why: str,
) -> None:
    settings.WSREQUEST = configured
    async with connect(server.ws) as peer:
        if code == 4029:
            await peer.send(*({"ping": number} for number in range(50)))
        assert await peer.close_code() == code
    await server.connections_gone()
    (record,) = found("wsrequest.connection", logging.WARNING)
    assert f"closed by the server with {code} ({why})" in record.getMessage()
    assert record.close_code == code
    assert record.connection_id in record.getMessage()


async def test_a_client_that_does_not_read_is_worth_one(settings: Settings, found: Find) -> None:
    settings.WSREQUEST = {"MAX_OUTBOX_BYTES": 1000}
    async with connection() as peer:
        peer.transport.stall()
        for _ in range(3):
            peer.session.websocket.notify("news", "x" * 600)
        await peer.task
    (record,) = found("wsrequest.connection", logging.WARNING)
    assert "with 4102 (it does not read)" in record.getMessage()
    assert "an unknown address" in record.getMessage()


async def test_a_refused_handshake(server: ServerThread, found: Find) -> None:
    evil = f"https://evil.example/{SECRET}"
    with pytest.raises(InvalidStatus):
        async with connect(
            f"{server.ws}?token={SECRET}",
            origin="https://evil.example",
            headers={
                "Authorization": f"JWT {SECRET}",
                "Cookie": f"sessionid={SECRET}",
                "Referer": evil,
            },
        ):
            pass
    (record,) = found("wsrequest.connection", logging.WARNING)
    assert record.getMessage() == (
        "Handshake from '127.0.0.1' refused with 403 (origin_refused): path '/ws/', "
        f"host '{server.host}', origin 'https://evil.example'"
    )
    assert (record.status_code, record.close_code, record.connection_id) == (403, 4003, None)


async def test_the_path_of_a_refused_handshake_is_escaped(
    server: ServerThread, found: Find
) -> None:
    with pytest.raises(InvalidStatus):
        async with connect(f"{server.ws}%0d%0aFORGED%1b[31m{'x' * 1000}"):
            pass
    (record,) = found("wsrequest.connection", logging.WARNING)
    assert r"path '/ws/\r\nFORGED\x1b[31mxxx" in record.getMessage()
    assert len(record.getMessage()) < 500


async def test_a_refusal_by_the_hook_names_the_connection(
    server: ServerThread, settings: Settings, found: Find
) -> None:
    settings.WSREQUEST = {"HANDSHAKE": "tests.metrics.hooks.refuse"}
    with pytest.raises(InvalidStatus):
        async with connect(server.ws):
            pass
    (record,) = found("wsrequest.connection", logging.WARNING)
    assert record.status_code == 418
    assert record.getMessage().startswith(f"Handshake {record.connection_id} from '127.0.0.1'")


async def test_no_flood_of_clients_is_a_flood_of_records(server: ServerThread, found: Find) -> None:
    for _ in range(14):
        with pytest.raises(InvalidStatus):
            async with connect(server.ws, origin="https://evil.example"):
                pass
    assert len(found("wsrequest.connection", logging.WARNING)) == 10
    with pytest.raises(InvalidStatus):  # another reason is another matter
        async with connect(f"{server.ws}nowhere/"):
            pass
    assert len(found("wsrequest.connection", logging.WARNING)) == 11


def test_the_next_minute_says_what_was_left_out() -> None:
    throttle = Throttle(most=2, seconds=60)
    assert [throttle.admit("a", now) for now in (0, 1, 2, 3, 59.9)] == [0, 0, None, None, None]
    assert throttle.admit("b", 3) == 0
    assert [throttle.admit("a", now) for now in (60, 61, 62, 200, 400)] == [3, 0, None, 1, 0]


async def test_what_was_left_out_is_said(
    server: ServerThread, found: Find, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wsrequest.log.throttle", throttle := Throttle(most=1, seconds=60))
    throttle.admit("origin_refused", -1000)
    assert throttle.admit("origin_refused", -999) is None
    with pytest.raises(InvalidStatus):
        async with connect(server.ws, origin="https://evil.example"):
            pass
    (record,) = found("wsrequest.connection", logging.WARNING)
    assert record.getMessage().endswith("(and 1 more like it, which were not logged)")


@pytest.mark.parametrize(
    ("message", "status", "ids"),
    [
        ({"id": 7, "url": "/hello/"}, 200, "message 7"),
        ({"id": "a\nb", "url": "/ahello/"}, 200, r"message 'a\nb'"),
        ({"id": 8, "url": "/nowhere/"}, 404, "message 8"),
        ({"id": 9, "url": "/stream/"}, 200, "message 9"),
    ],
)
async def test_each_answer_is_a_line(
    server: ServerThread, found: Find, message: dict[str, object], status: int, ids: str
) -> None:
    async with connect(server.ws) as peer:
        await peer.send(message)
        await peer.next()
        assert peer.hello is not None
        name = peer.hello["data"]["connection"]
    await server.connections_gone()
    (record,) = found("wsrequest.request", logging.DEBUG)
    text = record.getMessage()
    assert text.startswith(f"GET '{message['url']}' answered {status} in ")
    assert text.endswith(f" s [connection {name}, {ids}]")
    assert (record.connection_id, record.message_id) == (name, message["id"])
    assert record.status_code == status
    assert 0 <= record.duration < 20


async def test_without_an_id_the_connection_says_which(server: ServerThread, found: Find) -> None:
    async with connect(server.ws, seed=True) as peer:
        await peer.plain("/hello/")
    await server.connections_gone()
    (record,) = found("wsrequest.request", logging.DEBUG)
    assert record.message_id is None
    assert record.getMessage().endswith(f" s [connection {record.connection_id}]")


async def test_a_request_that_nobody_waits_for_any_more(
    server: ServerThread, found: Find, gate: Gate
) -> None:
    async with connect(server.ws) as peer:
        await peer.send({"id": 1, "url": f"/agate/{gate.name}/"})
        await gate.entered.reached(1)
        peer.abort()
    await server.connections_gone()
    (record,) = found("wsrequest.request", logging.DEBUG)
    assert record.getMessage().startswith(f"GET '/agate/{gate.name}/' given up after ")
    assert record.status_code is None


@pytest.mark.parametrize("url", ["/leave/", "/aleave/", "/abroken-stream/"])
async def test_what_gets_past_django_is_an_error(
    server: ServerThread, found: Find, url: str
) -> None:
    async with connect(server.ws) as peer:
        await peer.send({"id": "x", "url": f"{url}?token={SECRET}", "token": SECRET})
        await peer.next()
    await server.connections_gone()
    (record,) = found("wsrequest.request", logging.ERROR)
    assert record.getMessage() == (
        f"GET '{url}' failed [connection {record.connection_id}, message 'x']"
    )
    assert (record.message_id, record.status_code) == ("x", 500)
    assert record.exc_info is not None


async def test_an_answer_that_can_not_be_sent_is_an_error(
    server: ServerThread, settings: Settings, found: Find
) -> None:
    settings.ROOT_URLCONF = "tests.metrics.urls"
    async with connect(server.ws) as peer:
        assert (await peer.request("/unsendable/"))["status"] == 500
    await server.connections_gone()
    (record,) = found("wsrequest.request", logging.ERROR)
    assert record.message_id == 1
    assert "'/unsendable/'" in record.getMessage()


async def test_a_transport_that_fails_is_an_error(found: Find) -> None:
    async with connection() as peer:
        peer.transport.error = RuntimeError("broken")
        peer.transport.push({"ping": 1})
        await peer.task
    (record,) = found("wsrequest.connection", logging.ERROR)
    assert record.getMessage() == f"Connection {peer.session.id}: the transport failed"
    assert (record.connection_id, record.close_code) == (peer.session.id, 4105)


@pytest.mark.parametrize("view", ["leave", "aleave"])
async def test_no_secret_is_among_the_local_variables_of_a_traceback(
    server: ServerThread, found: Find, view: str
) -> None:
    """Services that collect errors show these, by their repr()."""
    headers = {"Cookie": f"remembered={SECRET}", "Authorization": f"JWT {SECRET}"}
    url = f"{server.ws}?token={SECRET}"
    async with connect(url, headers=headers, origin=server.http) as peer:
        asked = {"method": "POST", "data": {"password": SECRET}, "token": SECRET}
        answer = await peer.request(f"/{view}/", **asked)
        assert answer["status"] == 500
    (record,) = found("wsrequest.request", logging.ERROR)
    assert record.exc_info
    shown = "".join(TracebackException(*record.exc_info, capture_locals=True).format())
    assert "call = Call(" in shown
    assert SECRET not in shown


async def test_the_projects_own_timeout_is_worth_a_warning(
    server: ServerThread, settings: Settings, found: Find, gate: Gate
) -> None:
    settings.WSREQUEST = {"REQUEST_TIMEOUT": 0.05}
    async with connect(server.ws) as peer:
        assert (await peer.request(f"/agate/{gate.name}/?q={SECRET}"))["status"] == 504
    (record,) = found("wsrequest.request", logging.WARNING)
    assert record.getMessage() == (
        f"GET '/agate/{gate.name}/' took longer than 0.05 s "
        f"[connection {record.connection_id}, message 1]"
    )
    assert (record.status_code, record.duration) == (504, 0.05)


async def test_the_clients_own_is_not(server: ServerThread, found: Find, gate: Gate) -> None:
    async with connect(server.ws) as peer:
        assert (await peer.request(f"/agate/{gate.name}/", timeout=10))["status"] == 504
    assert found("wsrequest.request", logging.WARNING) == []


async def test_whatever_a_client_sends_stays_on_its_line(server: ServerThread, found: Find) -> None:
    token = base64.urlsafe_b64encode(SECRET.encode()).rstrip(b"=").decode()
    async with connect(
        server.ws,
        subprotocols=["wsrequest.v1.json", f"wsrequest.token.{token}"],
        headers={"Cookie": f"a={SECRET}"},
    ) as peer:
        for number, url in enumerate(("/nowhere/", "/leave/", "/aleave/")):
            await peer.send(
                {
                    "id": f"{number}{UNSAFE[:20]}",
                    "url": f"{url}{UNSAFE[:-1]}?{SECRET}",
                    "token": SECRET,
                }
            )
            await peer.next()
        await peer.send({"id": UNSAFE, "url": "/leave/", "token": SECRET})
        await peer.next()
        await peer.request("/leave/", id=f"x{UNSAFE[:-1]}", headers={"authorization": SECRET})
        await peer.send({"id": 9, "auth": SECRET})
        await peer.answer(9)
    await server.connections_gone()
    assert found("wsrequest.request", logging.DEBUG)
    assert len(found("wsrequest.request", logging.ERROR)) == 1


def test_long_texts_are_cut() -> None:
    assert shown("x" * MOST_SHOWN) == repr("x" * MOST_SHOWN)
    assert shown("x" * (MOST_SHOWN + 1)) == repr("x" * MOST_SHOWN + "...")
