"""Brokers that do what a test wants, and what tests see of them."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from django.db import connection

from wsrequest.errors import BrokerUnavailable
from wsrequest.push.brokers import broker_of
from wsrequest.push.brokers.base import Broker, Listener, Position, Receiver, Retention
from wsrequest.push.brokers.memory import MemoryBroker
from wsrequest.push.publication import Publication, Word, publication_in, word_in


class Away(MemoryBroker):
    """Does not answer, and counts how often it was asked."""

    asked = 0

    def publish(self, topic: str, payload: bytes, retention: Retention) -> Position:
        self.asked += 1
        raise BrokerUnavailable

    def signal(self, topic: str | None, payload: bytes) -> None:
        self.asked += 1
        raise BrokerUnavailable


class Wrong(MemoryBroker):
    """Has a bug."""

    def publish(self, topic: str, payload: bytes, retention: Retention) -> Position:
        raise ZeroDivisionError


class Outbox(MemoryBroker):
    """Says that it takes part in transactions, and notes whether there was one."""

    transactional = "default"

    def __init__(self) -> None:
        super().__init__()
        self.in_transaction: list[bool] = []

    def publish(self, topic: str, payload: bytes, retention: Retention) -> Position:
        self.in_transaction.append(connection.in_atomic_block)
        return super().publish(topic, payload, retention)


class Ear(Receiver):
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Publication]] = []
        self.words: list[tuple[str | None, Word]] = []
        self.heard = asyncio.Event()

    def deliver(self, topic: str, position: Position, payload: bytes) -> None:
        self.events.append((topic, publication_in(payload)))
        self.heard.set()

    def signal(self, topic: str | None, payload: bytes) -> None:
        self.words.append((topic, word_in(payload)))
        self.heard.set()

    def interrupted(self) -> None:
        raise AssertionError("a broker in memory is always there")

    def resumed(self) -> None:
        raise AssertionError("a broker in memory is always there")


class Listening:
    """A listener on a loop that runs only when somebody asks what was heard: for tests without a loop."""

    def __init__(self, *topics: str, broker: Broker | None = None) -> None:
        self._loop = asyncio.new_event_loop()
        self._ear = Ear()
        self._listener: Listener = (broker or broker_of()).listen(self._loop, self._ear)
        for topic in topics:
            self._loop.run_until_complete(self._listener.subscribe(topic))

    @property
    def words(self) -> list[tuple[str | None, Word]]:
        self._loop.run_until_complete(asyncio.sleep(0))
        return self._ear.words

    def close(self) -> None:
        self._loop.run_until_complete(self._listener.close())
        self._loop.close()


def published(topic: str, alias: str = "default") -> list[Publication]:
    """What the history of a topic in memory has."""
    broker = broker_of(alias)
    assert isinstance(broker, MemoryBroker)
    newest = broker.history(topic, Position("", 0), 1).newest
    page = broker.history(topic, Position(newest.epoch, 0), 1000)
    assert page.whole
    return [publication_in(entry.payload) for entry in page.entries]


def data_of(topic: str, alias: str = "default") -> list[Any]:
    return [json.loads(bytes(each.data)) for each in published(topic, alias)]
