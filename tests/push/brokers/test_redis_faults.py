"""What happens to a server of Redis' protocol, and what publishers and listeners make of it."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Iterator

import pytest
from redis.crc import key_slot

from tests.push.brokers.conftest import Listen, NewBroker
from tests.push.brokers.ears import PATIENCE, Ear
from tests.push.brokers.worlds import RedisWorld
from tests.support.redis_server import REDIS, VALKEY, RedisServer, cluster, eventually
from wsrequest.errors import BrokerUnavailable
from wsrequest.push.brokers.base import Broker, Position, Retention
from wsrequest.push.brokers.redis import RedisBroker

pytestmark = pytest.mark.slow

TOPIC = "/orders/42/"
KEPT = Retention(size=100, ttl=300)
BOTH = ["interrupted", "resumed"]


class Stage:
    """A server of the test's own, and what it does to it."""

    def __init__(self, *servers: RedisServer) -> None:
        self.world = RedisWorld(servers[0], cluster=len(servers) > 1)
        self.servers = servers

    @property
    def server(self) -> RedisServer:
        """The one that has the topic."""
        if len(self.servers) == 1:
            return self.servers[0]
        [channel] = [self.world.broker()._names.channel(TOPIC)]  # type: ignore[attr-defined]
        return self.servers[key_slot(channel) * len(self.servers) // 16384]

    def cut_listeners(self) -> None:
        self.server.ask("CLIENT", "KILL", "TYPE", "pubsub")


@pytest.fixture(params=["valkey", "redis", "cluster"])
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    if request.param == "cluster":
        with cluster() as servers:
            yield Stage(*servers)
    else:
        with RedisServer(VALKEY if request.param == "valkey" else REDIS) as server:
            yield Stage(server)


@pytest.fixture
def world(stage: Stage) -> RedisWorld:
    return stage.world


async def published(broker: Broker, *payloads: bytes, topic: str = TOPIC) -> list[Position]:
    return [await asyncio.to_thread(broker.publish, topic, payload, KEPT) for payload in payloads]


async def test_the_server_is_killed_and_comes_back_empty(
    stage: Stage, broker: Broker, listen: Listen, caplog: pytest.LogCaptureFixture
):
    listener, ear = await listen(TOPIC)
    [before] = await published(broker, b"1")
    await ear.heard(TOPIC, 1)
    await asyncio.to_thread(stage.server.kill)
    await ear.until(lambda: ear.told == ["interrupted"])
    async with asyncio.timeout(PATIENCE):
        for call in (
            listener.subscribe(f"{TOPIC}?"),
            listener.history(TOPIC, before, 10),
            listener.enter(TOPIC, "a", b"", 60),
            broker.apublish(TOPIC, b"lost", KEPT),
            broker.asignal(TOPIC, b"lost"),
        ):
            with pytest.raises(BrokerUnavailable):
                await call
    await listener.unsubscribe("/not subscribed/")
    await asyncio.to_thread(stage.server.start)
    await ear.until(lambda: ear.told == BOTH)
    page = await listener.history(TOPIC, before, 10)
    assert not page.whole
    assert page.newest.epoch != before.epoch
    [after] = await published(broker, b"2")
    assert after == (page.newest.epoch, 1)
    assert await ear.heard(TOPIC, 2) == [(before, b"1"), (after, b"2")]
    said = [record.getMessage() for record in caplog.records if record.name == "wsrequest.push"]
    assert [text.partition(" is ")[2][:4] for text in said] == ["lost", "back"]


async def test_a_topic_is_subscribed_while_nobody_is_there(stage: Stage, listen: Listen):
    """It takes about as long as the broker's timeout, and leaves nothing behind."""
    await asyncio.to_thread(stage.server.kill)
    listener, ear = await listen()
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(BrokerUnavailable):
            await listener.subscribe(TOPIC)
    await ear.until(lambda: ear.told)
    await asyncio.to_thread(stage.server.start)
    await ear.until(lambda: ear.told[-1] == "resumed")
    assert ear.told == BOTH * (len(ear.told) // 2)
    assert await channels(stage) == 0


async def channels(stage: Stage) -> int:
    """To how many channels somebody listens, but for that of all."""
    found = 0
    for server in stage.servers:
        with server.client(decode_responses=True) as client:
            listeners = await asyncio.to_thread(client.client_list, _type="pubsub")
        found += sum(int(each.get("ssub", 0)) + int(each["sub"]) for each in listeners)
    return found - 1


async def test_the_server_stalls(stage: Stage, broker: Broker, listen: Listen):
    """Its connections stay open, and say nothing: what is asked then fails, and is done once at most."""
    listener, ear = await listen(TOPIC)
    [before] = await published(broker, b"1")
    with stage.server.stalled():
        asked = [broker.apublish(TOPIC, b"2", KEPT), listener.subscribe("/orders/42/lines/")]
        found = await asyncio.gather(*asked, return_exceptions=True)
        await ear.until(lambda: ear.told == ["interrupted"])
    assert isinstance(found[0], BrokerUnavailable)
    await ear.until(lambda: ear.told == BOTH)
    await published(broker, b"3")
    page = await listener.history(TOPIC, before, 10)
    assert page.whole
    assert [entry.payload for entry in page.entries] in ([b"3"], [b"2", b"3"])
    assert page.newest.epoch == before.epoch
    await ear.until(lambda: ear.payloads(TOPIC)[-1:] == [b"3"])


async def test_the_listening_connection_is_cut(stage: Stage, broker: Broker, listen: Listen):
    listener, ear = await listen(TOPIC, *(f"/a/{number}/" for number in range(50)))
    for round_ in range(3):
        await asyncio.to_thread(stage.cut_listeners)
        [position] = await published(broker, b"%d" % round_)
        await ear.until(lambda round_=round_: ear.told == BOTH * (round_ + 1))
        page = await listener.history(TOPIC, Position(position.epoch, position.offset - 1), 1)
        assert [entry.payload for entry in page.entries] == [b"%d" % round_]
        for number in range(50):
            await published(broker, b"%d" % round_, topic=f"/a/{number}/")
        for number in range(50):  # each node of a cluster tells its own
            await ear.heard(f"/a/{number}/", round_ + 1)
    assert all(len(ear.of(f"/a/{number}/")) == 3 for number in range(50))


async def test_everything_is_flushed(stage: Stage, broker: Broker, listen: Listen):
    listener, ear = await listen(TOPIC)
    *_, before = await published(broker, b"1", b"2")
    await asyncio.to_thread(stage.server.ask, "FLUSHALL")
    [after] = await published(broker, b"3")
    assert after.offset == 1
    assert after.epoch != before.epoch
    assert (await ear.heard(TOPIC, 3))[-1] == (after, b"3")
    page = await listener.history(TOPIC, before, 10)
    assert (list(page.entries), page.newest, page.whole) == ([], after, False)
    assert ear.told == []


async def test_the_history_alone_is_gone(stage: Stage, broker: Broker, listen: Listen):
    """Evicted, say: offsets go on, and nobody takes what is left for whole."""
    listener, ear = await listen(TOPIC)
    [before] = await published(broker, b"1")
    events = stage.world.broker()._names.history(TOPIC)[1]  # type: ignore[attr-defined]
    await asyncio.to_thread(stage.server.ask, "DEL", events)
    assert not (await listener.history(TOPIC, Position(before.epoch, 0), 10)).whole
    [after] = await published(broker, b"2")
    assert after == (before.epoch, 2)
    assert not (await listener.history(TOPIC, Position(before.epoch, 0), 10)).whole
    assert (await listener.history(TOPIC, before, 10)).whole
    await ear.heard(TOPIC, 2)


async def test_the_server_comes_back_with_an_old_copy(stage: Stage, broker: Broker, listen: Listen):
    """Offsets that were given away come again: under another epoch."""
    await published(broker, b"1")
    await asyncio.to_thread(stage.server.ask, "SAVE")
    *_, before = await published(broker, b"2", b"3")
    listener, ear = await listen(TOPIC)
    await asyncio.to_thread(stage.server.kill)
    await asyncio.to_thread(stage.server.start)
    await ear.until(lambda: ear.told == BOTH)
    [after] = await published(broker, b"4")
    assert after.offset == 1
    assert after.epoch != before.epoch
    assert not (await listener.history(TOPIC, before, 10)).whole


async def test_memory_runs_out(stage: Stage, broker: Broker, listen: Listen):
    listener, ear = await listen(TOPIC)
    [before] = await published(broker, b"1")
    await asyncio.to_thread(stage.server.ask, "CONFIG", "SET", "maxmemory", "1")
    for refused in (
        asyncio.to_thread(broker.publish, TOPIC, b"2", KEPT),
        broker.apublish(TOPIC, b"2", KEPT),
        listener.enter(TOPIC, "a", b"", 60),
    ):
        with pytest.raises(BrokerUnavailable) as caught:
            await refused
        [note] = caught.value.__notes__
        assert "is out of memory (maxmemory), and takes no events until there is room." in note
    page = await listener.history(TOPIC, Position(before.epoch, 0), 10)
    assert [entry.payload for entry in page.entries] == [b"1"]
    await asyncio.to_thread(stage.server.ask, "CONFIG", "SET", "maxmemory", "0")
    [after] = await published(broker, b"3")
    assert after == (before.epoch, 2)
    assert await ear.heard(TOPIC, 2) == [(before, b"1"), (after, b"3")]
    assert ear.told == []


@pytest.mark.parametrize("stage", ["valkey", "redis"], indirect=True)
async def test_the_server_becomes_a_replica(stage: Stage, broker: Broker, listen: Listen):
    """Another one took over, and the connections still lead to the old one."""
    listener, _ = await listen(TOPIC)
    await published(broker, b"1")
    with RedisServer() as other:
        await asyncio.to_thread(stage.server.ask, "REPLICAOF", "127.0.0.1", other.port)
        for refused in (broker.apublish(TOPIC, b"2", KEPT), listener.enter(TOPIC, "a", b"", 60)):
            with pytest.raises(BrokerUnavailable) as caught:
                await refused
            [note] = caught.value.__notes__
            assert note.endswith("is a replica, which takes no events.")
        assert isinstance(broker, RedisBroker)
        assert not broker._client._idle
        await asyncio.to_thread(stage.server.ask, "REPLICAOF", "NO", "ONE")
    await published(broker, b"3")
    assert await listener.enter(TOPIC, "a", b"", 60)


async def test_the_loop_is_too_slow_for_the_server(stage: Stage, broker: Broker, listen: Listen):
    """The server closes the connection for what waits there."""
    _, ear = await listen(TOPIC)
    stage.server.ask("CONFIG", "SET", "client-output-buffer-limit", "pubsub 1mb 1mb 0")
    megabyte = b"x" * 2**20

    def publish() -> None:
        for _ in range(30):
            broker.publish(TOPIC, megabyte, Retention(0, 60))

    thread = threading.Thread(target=publish)
    thread.start()
    thread.join()  # the loop does nothing meanwhile
    await ear.until(lambda: ear.told == BOTH)
    [position] = await published(broker, b"last")
    await ear.until(lambda: ear.of(TOPIC)[-1:] == [(position, b"last")])
    assert len(ear.of(TOPIC)) < 31
    offsets = [position.offset for position, _ in ear.of(TOPIC)]
    assert offsets == sorted(offsets)


async def test_a_busy_loop_is_not_taken_for_a_silent_server(
    broker: Broker, listen: Listen, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.CRITICAL, "asyncio")
    _, ear = await listen(TOPIC)
    time.sleep(3)  # noqa: ASYNC251 (longer than a server may be silent)
    [position] = await published(broker, b"1")
    assert await ear.heard(TOPIC, 1) == [(position, b"1")]
    assert ear.told == []


async def test_who_publishes_finds_the_server_again(stage: Stage, broker: Broker):
    """A connection that was closed meanwhile is noticed before it is used."""
    await published(broker, b"1")
    await asyncio.to_thread(stage.server.kill)
    await asyncio.to_thread(stage.server.start)
    if len(stage.servers) > 1:
        await asyncio.to_thread(eventually, lambda: _is_whole(stage.server))
    [position] = await published(broker, b"2")
    assert position.offset == 1


def _is_whole(server: RedisServer) -> bool:
    return bool(server.ask("CLUSTER INFO")["cluster_state"] == "ok")


async def test_the_listener_closes_while_nobody_is_there(stage: Stage, new_broker: NewBroker):
    ear = Ear()
    listener = new_broker().listen(asyncio.get_running_loop(), ear)
    await listener.subscribe(TOPIC)
    with stage.server.stalled():
        waiting = [
            asyncio.create_task(listener.subscribe("/orders/42/lines/")),
            asyncio.create_task(listener.members(TOPIC)),
        ]
        await asyncio.sleep(0)
        async with asyncio.timeout(PATIENCE):
            await listener.close()
            found = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(each) for each in found] == [BrokerUnavailable] * 2
