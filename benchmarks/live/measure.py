"""What is asked of one server and its clients."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.clients import BadAnswerError
from benchmarks.live.watchers import PATIENCE, Audience, Watcher, Writer, gather
from benchmarks.load import open_socket
from benchmarks.servers import Server

#: Let what was asked before come to its end.
PAUSE = 0.1


@dataclass(frozen=True)
class Seen:
    """Seconds from the commit's return until the first and the last one had it."""

    first: float
    last: float


@dataclass
class Stage:
    """A server, who writes, and who watches."""

    server: Server
    writer: Writer
    audience: Audience = field(default_factory=Audience)
    watchers: list[Watcher] = field(default_factory=list)
    #: The number of the last write.
    number: int = 0

    async def watched(self, urls: Sequence[str], cookies: Sequence[str]) -> None:
        """Let one client for each cookie watch all these urls."""
        self.watchers += await gather(self.audience, self.server.port, urls, cookies)

    def leave(self) -> None:
        for watcher in self.watchers:
            watcher.cut()
        self.watchers, self.audience = [], Audience()

    async def nobody_is_left(self) -> None:
        """Wait until the server has seen all of them go."""
        async with asyncio.timeout(PATIENCE):
            while (await self.counted("live_audiences"))[0]:  # noqa: ASYNC110 (it is far away)
                await asyncio.sleep(0.05)

    async def write(self, subscriptions: int, pk: int = 1) -> Seen:
        """Write to a row, and wait until so many subscriptions show it."""
        self.number += 1
        seen = self.audience.expect(self.number, subscriptions)
        asked = {"pk": pk, "number": self.number}
        if not subscriptions:
            await self.writer.get("POST", "/write/", asked)
            return Seen(0.0, 0.0)
        async with asyncio.timeout(PATIENCE):
            answer, _ = await asyncio.gather(self.writer.get("POST", "/write/", asked), seen)
        return Seen(self.audience.first - answer["at"], self.audience.last - answer["at"])

    async def counted(self, *names: str) -> list[float]:
        """What the server has counted under these names."""
        figures = await self.writer.get("GET", "/counted/")
        return [figures.get(name, 0) for name in names]

    async def check(self) -> None:
        """Compare what each client holds with the answer to a GET of its own."""
        await asyncio.sleep(PAUSE)
        checked: set[tuple[str, str, int]] = set()
        for watcher in self.watchers:
            asker: Writer | None = None
            for number, url in enumerate(watcher.urls, 1):
                key = (watcher.cookie, url, id(watcher.held[number]))
                if key in checked:
                    continue
                checked.add(key)
                if asker is None:
                    cookie = watcher.cookie
                    asker = await open_socket(lambda c=cookie: Writer(c), self.server.port)
                if await asker.get("GET", url) != watcher.held[number].value:
                    raise BadAnswerError(f"A client does not hold what {url} answers.")
            if asker is not None:
                asker.transport.abort()


async def opened(server: Server) -> Stage:
    return Stage(server, await open_socket(Writer, server.port))


@dataclass(frozen=True)
class Cost:
    """Of a write."""

    #: Seconds of the server's CPU.
    cpu: float
    reruns: float
    #: The share of its core that the clients' process used.
    generator: float


async def cost(stage: Stage, subscriptions: int, seconds: float, least: int = 3) -> Cost:
    """Write again and again, each time when all have seen the write before."""
    await stage.write(subscriptions)
    await asyncio.sleep(PAUSE)
    (reruns,) = await stage.counted("live_reruns")
    server, generator, began = stage.server.cpu_seconds(), time.process_time(), time.perf_counter()
    writes = 0
    while writes < least or time.perf_counter() - began < seconds:
        await stage.write(subscriptions)
        writes += 1
    await asyncio.sleep(PAUSE)
    elapsed = time.perf_counter() - began
    server, generator = stage.server.cpu_seconds() - server, time.process_time() - generator
    (more,) = await stage.counted("live_reruns")
    return Cost(server / writes, (more - reruns) / writes, generator / elapsed)


async def bare(stage: Stage, url: str, times: int = 100) -> Cost:
    """What a GET costs that a client asks for, one after the other."""
    await asyncio.sleep(PAUSE)
    server, generator, began = stage.server.cpu_seconds(), time.process_time(), time.perf_counter()
    for _ in range(times):
        await stage.writer.get("GET", url)
    elapsed = time.perf_counter() - began
    server, generator = stage.server.cpu_seconds() - server, time.process_time() - generator
    return Cost(server / times, 0.0, generator / elapsed)


@dataclass(frozen=True)
class Paced:
    """What became of some writes."""

    seen: Sequence[Seen]
    #: Of a write.
    reruns: float
    #: The share of its core that the clients' process used.
    generator: float


async def paced(
    stage: Stage, writes: int, pause: float, subscriptions: int, pks: Sequence[int] = (1,)
) -> Paced:
    """Write at this pace, or as fast as all see the write before."""
    await asyncio.sleep(PAUSE)
    loop = asyncio.get_running_loop()
    (before,) = await stage.counted("live_reruns")
    began, found, generator = loop.time(), [], time.process_time()
    for number in range(writes):
        await asyncio.sleep(began + number * pause - loop.time())
        found.append(await stage.write(subscriptions, pks[number % len(pks)]))
    share = (time.process_time() - generator) / (loop.time() - began)
    await asyncio.sleep(PAUSE)
    (after,) = await stage.counted("live_reruns")
    return Paced(found, (after - before) / writes, share)


def quantile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
