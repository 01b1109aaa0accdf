"""The servers, what is asked of them in each round, and the targets."""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import processes
from benchmarks.figures import NONE, Figures, Target
from benchmarks.processes import Cores, say
from benchmarks.push.measure import Rate, Stage, delays, opened, rate, recover
from benchmarks.servers import UVICORN, Server, explained

OURS, BARE, CHANNELS = "ours", "bare", "channels"
#: (channel layer, its name in the report), those that need a Valkey.
LAYERS = (("redis", "RedisChannelLayer"), ("pubsub", "RedisPubSubChannelLayer"))
BURST = 50

TIMES_CHANNELS = Target(at_least=10)
OF_BARE = Target(at_least=0.8)
IN_BURSTS = Target(at_least=400_000)
LAST_WITHIN = Target(less_than=60)
PUBLISHED_WITHIN = Target(less_than=0.3)
RECOVERED_WITHIN = Target(less_than=30)

#: Seconds before each measurement in which the server that was asked before may end what it has left to do: Channels
#: in memory goes on for a while after its last message, on the core that all of them share.
REST = 1.0

PER_SECOND, MS, SECONDS, TIMES = "{:,.0f}/s", "{:.2f} ms", "{:.1f} s", "{:.2f}"


@dataclass(frozen=True)
class Plan:
    """How much of it all."""

    rounds: int
    seconds: float
    subscribers: int
    pace: float
    delay_seconds: float
    calls: int
    clients: int
    missed: int
    recoveries: int


FULL = Plan(rounds=7, seconds=1.0, subscribers=1000, pace=20, delay_seconds=3, calls=1000,
            clients=10_000, missed=100, recoveries=3)  # fmt: skip
SHORT = Plan(rounds=2, seconds=0.4, subscribers=100, pace=20, delay_seconds=1, calls=300,
             clients=500, missed=100, recoveries=1)  # fmt: skip


class Bench:
    """One run."""

    def __init__(self, plan: Plan, cores: Cores, place: Path, valkey: str) -> None:
        self.plan, self.cores, self.place = plan, cores, place
        self.figures = Figures()
        self._valkey = valkey
        self._env = {
            "DJANGO_SETTINGS_MODULE": "benchmarks.push.project.settings",
            "BENCH_SQLITE": str(place / "bench.sqlite3"),
        }

    def server(self, name: str, application: str, **env: str) -> Server:
        command = (
            *UVICORN,
            "--loop",
            "uvloop",
            f"benchmarks.push.project.{application}:application",
        )
        return Server(name, command, self.cores.server, self.place, self._env | env)

    async def run(self) -> None:
        plan = self.plan
        servers = [
            self.server(OURS, "asgi_socket"),
            self.server(BARE, "asgi_bare"),
            self.server(CHANNELS, "asgi_channels"),
            self.server(f"{OURS}-valkey", "asgi_socket", BENCH_VALKEY=self._valkey),
        ] + [
            self.server(
                f"{CHANNELS}-{layer}", "asgi_channels", BENCH_VALKEY=self._valkey, BENCH_LAYER=layer
            )
            for layer, _ in LAYERS
        ]
        async with self._stages(servers) as stages:
            for number in range(1, plan.rounds + 1):
                say(f"round {number} of {plan.rounds}")
                await self.one_at_a_time(stages)
                await self.bursts(stages)
                await self.delays(stages)
        for _ in range(plan.rounds):
            self.publishing()
        for number in range(1, plan.recoveries + 1):
            say(f"{plan.clients:,} clients come back, {number} of {plan.recoveries}")
            await self.recovery()

    @asynccontextmanager
    async def _stages(self, servers: Sequence[Server]) -> AsyncIterator[dict[str, Stage]]:
        stages: dict[str, Stage] = {}
        with ExitStack() as running:
            for server in servers:
                running.enter_context(server)
                say(f"{self.plan.subscribers:,} subscribers for {server.name}")
                with explained(server):
                    stage = stages[server.name] = await opened(server, self.plan.subscribers)
                running.callback(stage.leave)
            yield stages

    async def one_at_a_time(self, stages: dict[str, Stage]) -> None:
        """An event when all have had the one before."""
        ours = await self._rate("one", stages[OURS], 1, "over memory")
        bare = await self._rate("one", stages[BARE], 1, "a bare loop over `send`")
        channels = await self._rate("one", stages[CHANNELS], 1, "Channels, InMemoryChannelLayer")
        add = self.figures.add
        add("one", "over memory / a bare loop", ours / bare, TIMES, OF_BARE)
        add("one", "over memory / Channels", ours / channels, TIMES, TIMES_CHANNELS)
        ours = await self._rate("one", stages[f"{OURS}-valkey"], 1, "over Valkey")
        others = [
            await self._rate("one", stages[f"{CHANNELS}-{layer}"], 1, f"Channels, {name}")
            for layer, name in LAYERS
        ]
        add(
            "one",
            "over Valkey / the faster of these two",
            ours / max(others),
            TIMES,
            TIMES_CHANNELS,
        )

    async def bursts(self, stages: dict[str, Stage]) -> None:
        """Many at once."""
        ours = await self._rate("burst", stages[OURS], BURST, "over memory", IN_BURSTS)
        await self._rate("burst", stages[f"{OURS}-valkey"], BURST, "over Valkey")
        bare = await self._rate("burst", stages[BARE], BURST, "a bare loop over `send`")
        self.figures.add("burst", "over memory / a bare loop", ours / bare, TIMES)

    async def _rate(
        self, group: str, stage: Stage, at_once: int, claim: str, target: Target = NONE
    ) -> float:
        await asyncio.sleep(REST)
        with explained(stage.server):
            measured: Rate = await rate(stage, at_once, self.plan.seconds)
        self.figures.add(group, claim, measured.per_second, PER_SECOND, target)
        self.figures.generator.setdefault(f"{group}, {claim}", []).append(measured.generator)
        return measured.per_second

    async def delays(self, stages: dict[str, Stage]) -> None:
        """Events at a pace."""
        plan = self.plan
        for name, claim, target in (
            (OURS, "over memory", LAST_WITHIN),
            (f"{OURS}-valkey", "over Valkey", NONE),
        ):
            with explained(stages[name].server):
                found = await delays(stages[name], plan.pace, plan.delay_seconds)
            for share, words, bound in ((0.5, "median", NONE), (0.99, "p99", target)):
                delay = found.quantile(share) * 1000
                self.figures.add("delay", f"{claim}, {words}", delay, MS, bound)

    def publishing(self) -> None:
        """``publish()`` in a process of its own."""
        env = processes.environment(self._env | {"BENCH_VALKEY": self._valkey})
        said = subprocess.run(
            [sys.executable, "-m", "benchmarks.push.publishing", str(self.plan.calls),
             str(self.cores.server)],
            cwd=processes.ROOT, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        if said.returncode:
            raise RuntimeError(said.stderr)
        for what, claim, target in (
            ("publish", "`publish()`", PUBLISHED_WITHIN),
            ("plain", "redis-py's own PUBLISH", NONE),
        ):
            median = statistics.median(json.loads(said.stdout)[what]) * 1000
            self.figures.add("publish", f"{claim}, median", median, MS, target)

    async def recovery(self) -> None:
        """All clients at once."""
        plan = self.plan
        with self.server("recovery", "asgi_socket") as server, explained(server):
            found = await recover(server, plan.clients, plan.missed)
        self.figures.add("recovery", "over memory", found.seconds, SECONDS, RECOVERED_WITHIN)
        self.figures.generator.setdefault("recovery", []).append(found.generator)
