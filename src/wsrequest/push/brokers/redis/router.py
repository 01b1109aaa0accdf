"""Which server is asked what, one after the other, without asking anybody: that is left to the clients.

One server is asked by the digest of a script, and by its text where it does not know it. In a cluster, each node has
some of the slots; a node that has not, or is about to give one away, says where to go instead.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Generator, Sequence
from typing import Any, NamedTuple

from redis.crc import key_slot
from redis.exceptions import AskError, MovedError, NoScriptError, RedisError, ResponseError

from wsrequest.push.brokers.redis.scripts import Script

#: Host and port; None where there is one server only.
Node = tuple[str, int] | None

Command = tuple[bytes | str | int, ...]

#: Questions for one script, counting those where to go.
MOST_STEPS = 8

#: Nodes that are asked which has what.
MOST_ASKED = 3


class Step(NamedTuple):
    """What to ask now. With ``asking``, ASKING has to be said first, on the same connection."""

    node: Node
    command: Command
    asking: bool = False


Steps = Generator[Step, Any, Any]


class Router:
    """What a client knows of the nodes. Any thread may use it."""

    def __init__(self, first: Node) -> None:
        """``first`` is any node of a cluster; None where there is none."""
        self._first = first
        self._known: list[Node] = [first]
        self._slots: _Slots | None = None

    def run(self, script: Script, keys: tuple[bytes, ...], arguments: Command) -> Steps:
        """Is sent the replies, and thrown the errors of redis-py; returns the script's own reply."""
        command: Command = ("EVALSHA", script.digest, len(keys), *keys, *arguments)
        node, asking = None, False
        for _ in range(MOST_STEPS):
            if node is None:
                node = yield from self.node_of(keys[0])
            try:
                return (yield Step(node, command, asking))
            except NoScriptError:
                command = ("EVAL", script.text, *command[2:])
            except ResponseError as error:
                asking, node = _redirection(error, node)
                if not asking:
                    self.forget()
        raise RedisError("The cluster sends us in circles.")

    def node_of(self, key: bytes) -> Steps:
        """Returns the node that has this key or channel."""
        if self._first is None:
            return None
        slots = self._slots
        if slots is None:
            slots = self._slots = yield from self._learned()
        return slots.node_of(key)

    def forget(self) -> None:
        """Ask again which node has what."""
        self._slots = None

    def _learned(self) -> Generator[Step, Any, _Slots]:
        others = [node for node in self._known if node != self._first]
        random.shuffle(others)
        problem: Exception = RedisError("No node is known.")
        for node in [*others[: MOST_ASKED - 1], self._first]:
            try:
                reply = yield Step(node, ("CLUSTER", "SLOTS"))
            except (RedisError, OSError) as error:
                problem = error
            else:
                slots = _Slots(reply, node)
                self._known = list(set(slots.nodes))
                return slots
        raise problem


class _Slots:
    """Which node has which of a cluster's slots."""

    def __init__(self, reply: Sequence[Any], asked: Node) -> None:
        assert asked is not None
        ranges = sorted((first, last, main) for first, last, main, *_ in reply)
        self._firsts = [first for first, _, _ in ranges]
        self._lasts = [last for _, last, _ in ranges]
        # A node that does not know its own name is the one that was asked.
        self.nodes: list[Node] = [
            (main[0].decode() if main[0] else asked[0], main[1]) for _, _, main in ranges
        ]

    def node_of(self, key: bytes) -> Node:
        slot = key_slot(key)
        index = bisect_right(self._firsts, slot) - 1
        if index < 0 or slot > self._lasts[index]:
            raise RedisError(f"No node of the cluster has slot {slot}.")
        return self.nodes[index]


def _redirection(error: ResponseError, asked: Node) -> tuple[bool, Node]:
    """Whether it is for this once, and where to go. Raises the error where it says nothing of this."""
    host: str
    port: int | str
    if isinstance(error, AskError):  # which MovedError is, too
        once, host, port = not isinstance(error, MovedError), error.host, error.port
    else:  # redis-py before 6 leaves the word in the text
        word, _, rest = str(error).partition(" ")
        if word not in ("ASK", "MOVED"):
            raise error
        once, (host, _, port) = word == "ASK", rest.split()[-1].rpartition(":")
    assert asked is not None
    return once, (host or asked[0], int(port))
