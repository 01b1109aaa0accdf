"""A server behind TLS and a user of its own: the whole of a url such as hosters give. The servers that tests can start
know no TLS, so that it ends in front of them, as with many a hoster."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme

from tests.faults.proxy import Proxy
from tests.push.brokers.ears import Ear
from tests.support.redis_server import RedisServer
from wsrequest.errors import BrokerUnavailable
from wsrequest.push.brokers.base import Retention
from wsrequest.push.brokers.redis import RedisBroker

TOPIC = "/orders/42/"
KEPT = Retention(size=100, ttl=300)
WORD = "p@ss/word"
QUOTED = "p%40ss%2Fword"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
async def port(valkey_server: RedisServer, authority: trustme.CA) -> AsyncIterator[int]:
    """Where a server speaks TLS, and has a user who may do with the keys of one prefix what a broker does."""
    rights = "resetchannels ~tls:* &tls:* +@all -@dangerous +info"
    await asyncio.to_thread(
        valkey_server.ask, *("ACL", "SETUSER", "tls", "reset", "on", f">{WORD}"), *rights.split()
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    async with Proxy(valkey_server.port, tls=context).running() as proxy:
        yield proxy.port


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path) -> str:
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(path)
    return str(path)


@pytest.mark.parametrize("where", ["option", "url"])
async def test_a_url_with_everything(port: int, trusted: str, where: str) -> None:
    url = f"rediss://tls:{QUOTED}@127.0.0.1:{port}/0"
    if where == "url":
        broker = RedisBroker(f"{url}?ssl_ca_certs={trusted}", prefix="tls:")
    else:
        broker = RedisBroker(url, prefix="tls:", ssl_ca_certs=trusted)
    ear = Ear()
    listener = broker.listen(asyncio.get_running_loop(), ear)
    await listener.subscribe(TOPIC)
    first = await broker.apublish(TOPIC, b"1", KEPT)
    second = await asyncio.to_thread(broker.publish, TOPIC, b"2", KEPT)
    assert await ear.heard(TOPIC, 2) == [(first, b"1"), (second, b"2")]
    page = await listener.history(TOPIC, first, 10)
    assert [entry.payload for entry in page.entries] == [b"2"]
    await listener.close()
    broker.close()


async def test_the_prefix_of_another(port: int, trusted: str) -> None:
    broker = RedisBroker(
        f"rediss://tls:{QUOTED}@127.0.0.1:{port}/0", prefix="other:", ssl_ca_certs=trusted
    )
    with pytest.raises(BrokerUnavailable) as caught:
        await broker.apublish(TOPIC, b"1", KEPT)
    assert WORD not in str(caught.value.__notes__)
    broker.close()


@pytest.mark.parametrize("scheme", ["rediss", "redis"])
async def test_who_is_not_trusted_is_not_spoken_to(port: int, scheme: str) -> None:
    """Without the authority's certificate; and without TLS, where the server wants it."""
    broker = RedisBroker(f"{scheme}://tls:{QUOTED}@127.0.0.1:{port}/0", prefix="tls:")
    with pytest.raises(BrokerUnavailable):
        await broker.apublish(TOPIC, b"1", KEPT)
    broker.close()
