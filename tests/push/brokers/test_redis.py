"""What is RedisBroker's own: how it gets to the server, what it leaves there, and clusters that change."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.crc import key_slot

from tests.push.brokers.conftest import Listen
from tests.push.brokers.ears import Ear
from tests.push.brokers.worlds import RedisWorld
from tests.support.redis_server import RedisServer, cluster, eventually
from wsrequest.errors import BrokerUnavailable
from wsrequest.push.brokers.base import Broker, Position, Retention
from wsrequest.push.brokers.redis import RedisBroker, presence, scripts
from wsrequest.push.brokers.redis import listener as listening
from wsrequest.push.brokers.redis.names import heard
from wsrequest.push.brokers.redis.router import Router, Step

TOPIC = "/orders/42/"
KEPT = Retention(size=100, ttl=300)
SECRET = "correct-horse-battery"


@pytest.fixture(params=["valkey", "redis"])
def server(request: pytest.FixtureRequest) -> RedisServer:
    found: RedisServer = request.getfixturevalue(f"{request.param}_server")
    return found


@pytest.fixture
def world(server: RedisServer) -> RedisWorld:
    return RedisWorld(server)


@pytest.fixture
def prefix(broker: Broker) -> str:
    assert isinstance(broker, RedisBroker)
    return broker._names._prefix


async def published(broker: Broker, *payloads: bytes, topic: str = TOPIC) -> list[Position]:
    return [await asyncio.to_thread(broker.publish, topic, payload, KEPT) for payload in payloads]


# --- what it leaves on the server --------------------------------------------------------------


def lives(server: RedisServer, prefix: str) -> dict[bytes, int]:
    """Milliseconds that each key of this prefix has to live."""
    with server.client() as client:
        return {key: client.pttl(key) for key in client.scan_iter(match=f"{prefix}*")}


async def test_every_key_goes_by_itself(
    server: RedisServer, prefix: str, broker: Broker, listen: Listen
):
    ear, _ = await listen("/only/heard/")
    await published(broker, b"1")
    await ear.enter(TOPIC, "a", b"A", 30)
    await ear.renew(TOPIC, ["a"], 30)
    await ear.history("/only/read/", Position("", 0), 1)
    left = await asyncio.to_thread(lives, server, prefix)
    assert len(left) == 6
    hour = scripts.KEPT * 1000
    for key, life in left.items():
        longest = 300_000 if key.endswith(b":events") else hour + 300_000
        assert 0 < life <= longest, key
    assert all(life > hour - 60_000 for key, life in left.items() if key.endswith(b":meta"))


async def test_a_quiet_topic_is_not_forgotten_while_somebody_listens(
    server: RedisServer,
    prefix: str,
    broker: Broker,
    listen: Listen,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(listening, "LOOKED_AFTER", 0.05)
    monkeypatch.setattr(listening, "AT_A_TIME", 2)
    await listen("/a/", "/b/", TOPIC)
    before = await broker.apublish(TOPIC, b"1", KEPT)

    def almost_over() -> None:
        with server.client() as client:
            for key in client.scan_iter(match=f"{prefix}*:meta"):
                client.expire(key, 600)

    def renewed() -> bool:
        metas = [life for key, life in lives(server, prefix).items() if key.endswith(b":meta")]
        return len(metas) == 3 and min(metas) > 3_000_000

    await asyncio.to_thread(eventually, renewed)
    await asyncio.to_thread(almost_over)
    await asyncio.to_thread(eventually, renewed)
    after = await broker.apublish(TOPIC, b"2", KEPT)
    assert after == (before.epoch, 2)


async def test_no_time_is_too_long(broker: Broker):
    for ttl in (1e-9, 1e300, float("inf")):
        await asyncio.to_thread(broker.publish, TOPIC, b"", Retention(1, ttl))


async def test_one_connection_hears_all_topics(server: RedisServer, listen: Listen):
    def connections() -> int:
        with server.client() as client:
            return len(client.client_list(_type="pubsub"))

    before = await asyncio.to_thread(connections)
    await listen(*(f"/orders/{number}/" for number in range(100)))
    assert await asyncio.to_thread(connections) == before + 1


async def test_two_prefixes_and_two_databases_are_apart(server: RedisServer):
    urls = [server.url, server.url, server.url.replace("/0", "/1")]
    made = [
        RedisBroker(url, prefix=prefix)
        for url, prefix in zip(urls, ["apart:", "apart-too:", "apart:"], strict=True)
    ]
    ears = [Ear() for _ in made]
    listeners = [
        broker.listen(asyncio.get_running_loop(), ear)
        for broker, ear in zip(made, ears, strict=True)
    ]
    try:
        for each in listeners:
            await each.subscribe(TOPIC)
        for number, broker in enumerate(made):
            assert [each.offset for each in await published(broker, b"%d" % number)] == [1]
            await broker.asignal(None, b"%d" % number)
        for number, ear in enumerate(ears):
            await ear.until(lambda ear=ear: ear.events and ear.signals)
            assert ear.payloads(TOPIC) == [b"%d" % number]
            assert ear.signals == [(None, b"%d" % number)]
    finally:
        for each in listeners:
            await each.close()
        for broker in made:
            broker.close()


async def test_what_others_say_on_a_channel(server: RedisServer, broker: Broker, listen: Listen):
    _, ear = await listen(TOPIC)
    assert isinstance(broker, RedisBroker)
    for nonsense in (b"", b"hello", b"epoch:offset:payload", b"\xff:1:x"):
        for channel in (broker._names.channel(TOPIC), broker._names.everywhere):
            await asyncio.to_thread(server.ask, "PUBLISH", channel, nonsense)
    [position] = await published(broker, b"1")
    assert await ear.heard(TOPIC, 1) == [(position, b"1")]
    assert ear.told == []


def test_what_goes_through_a_channel():
    assert heard(b"e:7:a:b") == (Position("e", 7), b"a:b")
    assert heard(b"::a:b") == (None, b"a:b")


async def test_a_crowd_is_looked_at_in_parts(listen: Listen, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(presence, "AT_A_TIME", 3)
    ear, _ = await listen()
    names = [f"member {number}" for number in range(9)]
    for name in names:
        await ear.enter(TOPIC, name, b"x", 60)
    assert await ear.renew(TOPIC, [*names, "a", "b"], 0.001) == ["a", "b"]
    deadline = asyncio.get_running_loop().time() + 10
    while await ear.members(TOPIC):
        assert asyncio.get_running_loop().time() < deadline
    assert await ear.expire(TOPIC) == dict.fromkeys(names, b"x")


# --- how it gets there -------------------------------------------------------------------------


@pytest.fixture
def guarded() -> Iterator[RedisServer]:
    """Wants a password, and has a socket file."""
    with RedisServer() as server:
        server.ask("CONFIG", "SET", "requirepass", SECRET)
        yield server


async def test_a_password(guarded: RedisServer):
    broker = RedisBroker(f"redis://:{SECRET}@127.0.0.1:{guarded.port}/0")
    ear = Ear()
    listener = broker.listen(asyncio.get_running_loop(), ear)
    try:
        await listener.subscribe(TOPIC)
        await published(broker, b"1")
        await ear.heard(TOPIC, 1)
    finally:
        await listener.close()
        broker.close()


async def test_no_password_is_told(guarded: RedisServer, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    wrong = f"{SECRET}-wrong"
    broker = RedisBroker(f"redis://somebody:{wrong}@127.0.0.1:{guarded.port}/0")
    ear = Ear()
    listener = broker.listen(asyncio.get_running_loop(), ear)
    try:
        await ear.until(lambda: ear.told)
        with pytest.raises(BrokerUnavailable) as caught:
            await asyncio.to_thread(broker.publish, TOPIC, b"", KEPT)
        with pytest.raises(BrokerUnavailable) as caught_too:
            await listener.subscribe(TOPIC)
    finally:
        await listener.close()
        broker.close()
    for error in (caught.value, caught_too.value):
        assert f"redis://127.0.0.1:{guarded.port}/0" in error.__notes__[0]
        assert SECRET not in repr(error) + str(error) + repr(error.__notes__)
        assert SECRET not in f"{error.__cause__} {error.__cause__!r}"
    assert ear.told == ["interrupted"]
    assert SECRET not in caplog.text
    assert "somebody" not in caplog.text


@pytest.mark.parametrize(
    "rights",
    [
        "resetchannels ~acl:* &acl:* +@all -@dangerous +info",
        "resetchannels ~acl:* &acl:* +@all -@dangerous",  # the epoch has nothing of the server's name then
    ],
)
async def test_a_user_of_its_own(server: RedisServer, rights: str):
    await asyncio.to_thread(
        server.ask, "ACL", "SETUSER", "events", "reset", "on", f">{SECRET}", *rights.split()
    )
    broker = RedisBroker(f"redis://events:{SECRET}@127.0.0.1:{server.port}/0", prefix="acl:")
    ear = Ear()
    listener = broker.listen(asyncio.get_running_loop(), ear)
    await listener.subscribe(TOPIC)
    first, second = await published(broker, b"1", b"2")
    assert second == (first.epoch, first.offset + 1)
    assert await ear.heard(TOPIC, 2) == [(first, b"1"), (second, b"2")]
    assert await listener.enter(TOPIC, "a", b"A", 60)
    assert await listener.expire(TOPIC) == {}
    assert await listener.leave(TOPIC, "a")
    await listener.signal(None, b"all")
    await ear.until(lambda: ear.signals)
    await listener.close()
    broker.close()


async def test_a_socket_file(tmp_path: Path):
    path = tmp_path / "redis.sock"
    with RedisServer(unixsocket=path):
        broker = RedisBroker(f"unix://{path}?db=1")
        assert str(broker._access) == f"unix://{path}?db=1"
        ear = Ear()
        listener = broker.listen(asyncio.get_running_loop(), ear)
        await listener.subscribe(TOPIC)
        await published(broker, b"1")
        await ear.heard(TOPIC, 1)
        await listener.close()
        broker.close()


def test_tls():
    broker = RedisBroker("rediss://host.example:7000", ssl_ca_certs="/nowhere.pem")
    assert str(broker._access) == "rediss://host.example:7000/0"
    with pytest.raises(BrokerUnavailable):
        broker.publish(TOPIC, b"", KEPT)


@pytest.mark.parametrize(
    ("url", "options", "error"),
    [
        ("http://localhost", {}, ValueError),
        ("redis://localhost", {"colour": "red"}, TypeError),
        ("redis://localhost/1", {"cluster": True}, ValueError),
        ("unix:///run/redis.sock", {"cluster": True}, ValueError),
    ],
)
def test_what_can_not_be_used(url: str, options: dict[str, Any], error: type[Exception]):
    with pytest.raises(error):
        RedisBroker(url, **options)


def test_options_go_to_the_connections(server: RedisServer):
    broker = RedisBroker(f"{server.url}?client_name=by-url", decode_responses=True, protocol=3)
    broker.publish(TOPIC, b"\xff", KEPT)
    with server.client() as client:
        assert "by-url" in {each["name"] for each in client.client_list()}
    broker.close()


def test_threads_wait_for_a_connection(server: RedisServer):
    broker = RedisBroker(server.url, prefix="few:", max_connections=1)
    found: list[Position] = []
    threads = [
        threading.Thread(target=lambda: found.append(broker.publish(TOPIC, b"", KEPT)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(position.offset for position in found) == list(range(1, 9))
    assert sum(map(len, broker._client._idle.values())) == 1
    broker.close()


async def test_nobody_waits_for_ever():
    """Neither for a connection, nor for a thread that stands in for the loop."""
    with RedisServer() as server:
        broker = RedisBroker(server.url, max_connections=1, timeout=0.3)
        with server.stalled():
            found = await asyncio.gather(
                *(asyncio.to_thread(broker.publish, TOPIC, b"", KEPT) for _ in range(3)),
                *(broker.apublish(TOPIC, b"", KEPT) for _ in range(20)),
                return_exceptions=True,
            )
        assert {type(each) for each in found} == {BrokerUnavailable}
        broker.close()


async def test_it_is_closed_while_it_is_used(server: RedisServer):
    broker = RedisBroker(server.url, prefix="closing:")
    stop = threading.Event()
    failed: list[BaseException] = []

    def publish() -> None:
        while not stop.is_set():
            try:
                broker.publish(TOPIC, b"", KEPT)
            except BaseException as error:
                failed.append(error)
                raise

    threads = [threading.Thread(target=publish) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(50):
        await asyncio.to_thread(broker.close)
    stop.set()
    for thread in threads:
        await asyncio.to_thread(thread.join)
    broker.close()
    assert failed == []


WITHOUT_REDIS = """
import sys
sys.modules["redis"] = None
from django.conf import settings
BROKER = {"BACKEND": "wsrequest.push.brokers.redis.RedisBroker"}
settings.configure(INSTALLED_APPS=["wsrequest"], WSREQUEST={"BROKERS": {"default": BROKER}})
import django
django.setup()
from django.core.checks import run_checks
print([error.msg for error in run_checks() if error.id == "wsrequest.E004"])
"""


def test_redis_is_not_installed():
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_REDIS],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr) == (
        (
            "[\"WSREQUEST['BROKERS']['default'] can't be used: RedisBroker needs redis-py: "
            "pip install 'django-websocket-request[redis]'\"]\n"
        ),
        "",
    )


FORKED = """
import os, sys, warnings
from wsrequest.push.brokers.base import Retention
from wsrequest.push.brokers.redis import RedisBroker
broker = RedisBroker(sys.argv[1], prefix="forked:")
print(broker.publish("/a/", b"", Retention(1, 60)).offset, flush=True)
child = os.fork()
for _ in range(200):
    broker.publish("/a/", b"", Retention(1, 60))
if child:
    assert os.waitpid(child, 0)[1] == 0
    print(broker.publish("/a/", b"", Retention(1, 60)).offset, flush=True)
broker.close()
"""


def test_a_process_that_forks(server: RedisServer):
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", FORKED, server.url],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout.split(), done.stderr) == (["1", "402"], "")


# --- a cluster that changes --------------------------------------------------------------------


@pytest.fixture
def changing() -> Iterator[list[RedisServer]]:
    with cluster() as servers:
        yield servers


class Moving:
    """A slot, and the nodes between which it is moved."""

    def __init__(self, servers: list[RedisServer], slot: int) -> None:
        self.slot = slot
        self._servers = servers
        self.source = servers[slot * len(servers) // 16384]
        self.target = next(server for server in servers if server is not self.source)
        self._source, self._target = (
            server.ask("CLUSTER", "MYID") for server in (self.source, self.target)
        )

    def begin(self) -> None:
        self.target.ask("CLUSTER", "SETSLOT", self.slot, "IMPORTING", self._source)
        self.source.ask("CLUSTER", "SETSLOT", self.slot, "MIGRATING", self._target)

    def end(self) -> None:
        keys = self.source.ask("CLUSTER", "GETKEYSINSLOT", self.slot, 100)
        if keys:
            where = ("127.0.0.1", self.target.port, "", 0, 5000)
            self.source.ask("MIGRATE", *where, "KEYS", *keys)
        for server in (self.target, self.source):
            server.ask("CLUSTER", "SETSLOT", self.slot, "NODE", self._target)


@pytest.fixture
def moving(changing: list[RedisServer], request: pytest.FixtureRequest) -> tuple[Moving, Any]:
    broker = RedisBroker(changing[0].url, cluster=True, prefix=f"{request.node.name}:")
    return Moving(changing, key_slot(broker._names.channel(TOPIC))), broker


async def test_a_slot_moves(moving: tuple[Moving, RedisBroker]):
    slot, broker = moving
    ear = Ear()
    listener = broker.listen(asyncio.get_running_loop(), ear)
    await listener.subscribe(TOPIC)
    await listener.subscribe("/elsewhere/")
    [before] = await published(broker, b"1")
    await ear.heard(TOPIC, 1)
    await asyncio.to_thread(slot.begin)
    await asyncio.to_thread(slot.end)
    await ear.until(lambda: ear.told == ["interrupted", "resumed"])
    [after] = await published(broker, b"2")
    assert await ear.heard(TOPIC, 2) == [(before, b"1"), (after, b"2")]
    assert (await listener.history(TOPIC, after, 1)).whole
    assert not (await listener.history(TOPIC, before, 1)).whole
    await listener.close()
    broker.close()


async def test_a_slot_is_about_to_move(moving: tuple[Moving, RedisBroker]):
    """What is not there is to be asked for at the new place. Of a topic that has several keys, no node has anything to
    say before that is done: nothing is published then."""
    slot, broker = moving
    ear = Ear()
    listener = broker.listen(asyncio.get_running_loop(), ear)
    await listener.subscribe("/elsewhere/")
    await asyncio.to_thread(slot.begin)
    await broker.asignal(TOPIC, b"nobody hears")
    await listener.signal(TOPIC, b"nobody hears")
    with pytest.raises(BrokerUnavailable):
        await broker.apublish(TOPIC, b"0", KEPT)
    with pytest.raises(BrokerUnavailable):
        await listener.history(TOPIC, Position("", 0), 1)
    await asyncio.to_thread(slot.end)
    assert (await listener.subscribe(TOPIC)).offset == 0
    [first] = await published(broker, b"1")
    assert await ear.heard(TOPIC, 1) == [(first, b"1")]
    assert ear.signals == []
    await listener.close()
    broker.close()


def steps_of(router: Router, *replies: Any) -> list[Step]:
    """What is asked, when these are the replies."""
    steps = router.run(scripts.SIGNAL, (b"{:/a/}",), ("PUBLISH", b""))
    asked = [next(steps)]
    for reply in replies:
        try:
            if isinstance(reply, Exception):
                asked.append(steps.throw(reply))
            else:
                asked.append(steps.send(reply))
        except StopIteration:
            break
    return asked


def slots(*ports: int) -> list[list[Any]]:
    size = 16384 // len(ports)
    return [
        [number * size, (number + 1) * size - 1, [b"", port]] for number, port in enumerate(ports)
    ]


def test_one_server_is_asked_nothing_else():
    unknown = redis.exceptions.NoScriptError("No matching script")
    asked = steps_of(Router(None), unknown, 1)
    assert [(step.node, step.command[0], step.asking) for step in asked] == [
        (None, "EVALSHA", False),
        (None, "EVAL", False),
    ]


def test_nodes_are_asked_for_the_slots():
    router = Router(("first", 1))
    asked = steps_of(router, slots(1, 2, 3, 4), 1)
    assert asked[0] == Step(("first", 1), ("CLUSTER", "SLOTS"))
    expected = key_slot(b"{:/a/}") // 4096 + 1
    assert asked[1].node == ("first", expected)
    assert [step.command[0] for step in steps_of(router, 1)] == ["EVALSHA"]
    router.forget()
    refused = ConnectionError("refused")
    again = steps_of(router, refused, refused, slots(1))
    assert [step.command for step in again[:3]] == [("CLUSTER", "SLOTS")] * 3
    assert len({step.node for step in again[:3]}) == 3
    assert again[2].node == ("first", 1)
    router.forget()
    with pytest.raises(ConnectionError):
        steps_of(router, refused)


@pytest.mark.parametrize(
    ("error", "asking", "node"),
    [
        (redis.exceptions.MovedError("1 other:7"), False, ("other", 7)),
        (redis.exceptions.AskError("1 other:7"), True, ("other", 7)),
        (redis.ResponseError("MOVED 1 other:7"), False, ("other", 7)),
        (redis.ResponseError("ASK 1 :7"), True, ("first", 7)),
    ],
)
def test_nodes_send_to_others(error: Exception, asking: bool, node: tuple[str, int]):
    router = Router(("first", 1))
    *_, last = steps_of(router, slots(1), error)
    assert (last.node, last.asking) == (node, asking)
    assert (router._slots is None) is not asking
    router.forget()
    with pytest.raises(redis.RedisError, match="in circles"):
        steps_of(router, slots(1), *[error] * 20)


def test_what_is_no_redirection_is_raised():
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        steps_of(Router(("first", 1)), slots(1), redis.ResponseError("WRONGTYPE"))
    with pytest.raises(redis.RedisError, match="No node of the cluster has slot"):
        steps_of(Router(("first", 1)), [[0, 1, [b"first", 1]]])
    with pytest.raises(redis.RedisError, match="No node of the cluster has slot"):
        steps_of(Router(("first", 1)), [[16383, 16383, [b"first", 1]]])
