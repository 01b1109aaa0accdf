"""A broker that remembers which changes it was told."""

from __future__ import annotations

from wsrequest.push.brokers.memory import MemoryBroker
from wsrequest.push.publication import Written, word_in

Rows = dict[str, set[str] | None]


def as_rows(payload: bytes) -> Rows | None:
    word = word_in(payload)
    if not isinstance(word, Written):
        return None
    return {name: None if keys is None else set(keys) for name, keys in word.tables.items()}


class ToldBroker(MemoryBroker):
    def __init__(self) -> None:
        super().__init__()
        self.told: list[Rows] = []

    def signal(self, topic: str | None, payload: bytes) -> None:
        rows = as_rows(payload)
        if rows is not None:
            assert topic is None
            self.told.append(rows)
        super().signal(topic, payload)
