"""What is asked of one server, and the figures that come of it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from benchmarks.load import open_socket
from benchmarks.push.audience import PATIENCE, Audience, Publisher
from benchmarks.servers import Server

#: Let what was asked before come to its end.
PAUSE = 0.05
#: Seconds until a recovery that does not come to its end is given up.
LONGEST = 120.0


@dataclass
class Stage:
    """A server with its audience and a publisher."""

    server: Server
    audience: Audience
    publisher: Publisher

    def leave(self) -> None:
        self.audience.cut()
        self.publisher.transport.abort()


async def opened(server: Server, subscribers: int) -> Stage:
    """Let so many subscribe, and hear two events."""
    audience = Audience(server.port)
    await audience.gather(subscribers)
    stage = Stage(server, audience, await open_socket(Publisher, server.port))
    for _ in range(2):
        await _publish(stage, 1)
    return stage


@dataclass(frozen=True)
class Rate:
    """Deliveries, and what they took."""

    deliveries: int
    seconds: float
    server_cpu: float
    generator_cpu: float

    @property
    def per_second(self) -> float:
        return self.deliveries / self.seconds

    @property
    def generator(self) -> float:
        """The share of its core that the generator used."""
        return self.generator_cpu / self.seconds

    @property
    def cpu(self) -> float:
        """Seconds of server CPU for a delivery."""
        return self.server_cpu / self.deliveries


async def rate(stage: Stage, at_once: int, seconds: float) -> Rate:
    """Publish so many events at once, again and again: the next ones when every subscriber has heard these."""
    await asyncio.sleep(PAUSE)
    before, began = stage.audience.heard, time.perf_counter()
    server, generator = stage.server.cpu_seconds(), time.process_time()
    while (elapsed := time.perf_counter() - began) < seconds:
        await _publish(stage, at_once)
    elapsed = time.perf_counter() - began
    return Rate(
        stage.audience.heard - before,
        elapsed,
        stage.server.cpu_seconds() - server,
        time.process_time() - generator,
    )


async def _publish(stage: Stage, at_once: int) -> None:
    heard = stage.audience.expect(at_once * len(stage.audience.members))
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(stage.publisher.publish(at_once), heard)


@dataclass
class Delays:
    """Seconds from the moment at which the publisher asked to that at which the last subscriber had the event."""

    seconds: list[float] = field(default_factory=list)

    def quantile(self, share: float) -> float:
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


async def delays(stage: Stage, per_second: float, seconds: float) -> Delays:
    """Publish at this pace, whether or not the events before have been heard."""
    await asyncio.sleep(PAUSE)
    audience, loop = stage.audience, asyncio.get_running_loop()
    first = audience.members[0].offset + 1
    count = int(per_second * seconds)
    heard = audience.expect(count * len(audience.members))
    audience.missing, audience.whole_at = {}, {}
    asked, answers = {}, []
    began = loop.time()
    for number in range(count):
        await asyncio.sleep(began + number / per_second - loop.time())
        asked[first + number] = time.perf_counter()
        answers.append(stage.publisher.publish(1))
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(heard, *answers)
    found = Delays([audience.whole_at[offset] - at for offset, at in asked.items()])
    audience.missing = None
    return found


@dataclass(frozen=True)
class Recovery:
    """What it took until everybody was there again and had everything."""

    seconds: float
    generator: float


async def recover(server: Server, number: int, missed: int) -> Recovery:
    """Cut everybody off, publish, and let everybody come back for what he missed."""
    audience = Audience(server.port)
    await audience.gather(number)
    publisher = await open_socket(Publisher, server.port)
    heard = audience.expect(number)
    await publisher.publish(1)
    await heard
    place = audience.members[0].place
    began, cpu = time.perf_counter(), time.process_time()
    audience.cut()
    heard = audience.expect(number * missed)
    async with asyncio.timeout(LONGEST):
        await publisher.publish(missed)
        await asyncio.gather(audience.gather(number, place), heard)
    taken = time.perf_counter() - began
    if any(member.offset != place.offset + missed for member in audience.members):
        raise RuntimeError("Somebody has not had everything.")
    audience.cut()
    publisher.transport.abort()
    return Recovery(taken, (time.process_time() - cpu) / taken)
