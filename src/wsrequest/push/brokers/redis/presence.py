"""Who is on a topic: the keys expire by themselves when it is forgotten."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from wsrequest.push.brokers.redis import scripts
from wsrequest.push.brokers.redis.names import Names
from wsrequest.push.brokers.redis.scripts import milliseconds

#: Members that one script looks at: the server does nothing else meanwhile.
AT_A_TIME = 1000

Run = Callable[..., Awaitable[Any]]


class Presence:
    """The part of a listener that has nothing to do with listening."""

    def __init__(self, names: Names, run: Run) -> None:
        self._names = names
        self._run = run

    async def enter(self, topic: str, member: str, data: bytes, lease: float) -> bool:
        keys, times = self._names.presence(topic), _times(lease)
        return bool(await self._run(scripts.ENTER, keys, *times, _encoded(member), data))

    async def leave(self, topic: str, member: str) -> bool:
        return bool(await self._run(scripts.LEAVE, self._names.presence(topic), _encoded(member)))

    async def renew(self, topic: str, members: Sequence[str], lease: float) -> list[str]:
        keys, times = self._names.presence(topic), _times(lease)
        gone: list[str] = []
        for start in range(0, len(members), AT_A_TIME):
            some = map(_encoded, members[start : start + AT_A_TIME])
            gone += map(_decoded, await self._run(scripts.RENEW, keys, *times, *some))
        return gone

    async def expire(self, topic: str) -> dict[str, bytes]:
        gone: dict[str, bytes] = {}
        while True:
            reply = await self._run(scripts.EXPIRE, self._names.presence(topic), AT_A_TIME)
            gone |= members_in(reply)
            if len(reply) < 2 * AT_A_TIME:
                return gone

    async def members(self, topic: str) -> dict[str, bytes]:
        return members_in(await self._run(scripts.MEMBERS, self._names.presence(topic)))


def members_in(reply: Sequence[bytes]) -> dict[str, bytes]:
    """Names and data, which come by turns."""
    return dict(zip(map(_decoded, reply[::2]), reply[1::2], strict=True))


def _times(lease: float) -> tuple[int, int]:
    return milliseconds(lease), milliseconds(lease + scripts.KEPT)


def _encoded(member: str) -> bytes:
    return member.encode(errors="surrogatepass")


def _decoded(member: bytes) -> str:
    return member.decode(errors="surrogatepass")
