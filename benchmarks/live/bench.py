"""What is measured in each round, and the targets."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import processes
from benchmarks.figures import NONE, Figures, Target
from benchmarks.live.costs import AGAIN, BARE, INSTALLED, TRACKED
from benchmarks.live.measure import Paced, Stage, bare, cost, opened, paced, quantile
from benchmarks.processes import Cores, say
from benchmarks.servers import UVICORN, Server, explained

TRACKING = Target(at_most=1.05)
#: Nothing is what can't be told from the noise: a case differs from itself by this.
NOTHING = Target(at_most=1.01)
SAVING = Target(at_most=1.03)
SEEN_WITHIN = Target(less_than=100)
ONE_RERUN = Target(at_most=1)
OTHERS = Target(at_most=1.1)

TIMES, US, MS, SECONDS, COUNT = "{:.3f}", "{:.1f} µs", "{:.1f} ms", "{:.2f} s", "{:.2f}"
SETTINGS = {
    "DJANGO_SETTINGS_MODULE": "benchmarks.live.project.settings",
    # Longer than anything here takes: a connection that is made anew would be measured, too.
    "BENCH_CONN_MAX_AGE": "3600",
}
ONE_AUDIENCE = "a write concerns one audience"
#: Seconds after which a process that measures costs is given up.
LONGEST = 240.0


@dataclass(frozen=True)
class Plan:
    """How much of it all."""

    rounds: int
    gets: int
    saves: int
    case_seconds: float
    users: int
    writes: int
    delay_rounds: int
    crowd: int
    changes: int
    dependent: Sequence[int]
    others: int
    each: Sequence[int]
    cell_rounds: int
    cell_seconds: float


FULL = Plan(rounds=5, gets=25, saves=200, case_seconds=2, users=100, writes=30, delay_rounds=2, crowd=10_000,
            changes=5, dependent=(1, 10, 100), others=1000, each=(1, 10, 100), cell_rounds=3,
            cell_seconds=0.5)  # fmt: skip
SHORT = Plan(rounds=1, gets=6, saves=40, case_seconds=0.3, users=10, writes=10, delay_rounds=1, crowd=300,
             changes=2, dependent=(1, 10), others=50, each=(1, 10), cell_rounds=1,
             cell_seconds=0.2)  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """What a write costs with so many audiences."""

    dependent: int
    each: int
    others: int


class Bench:
    """One run."""

    def __init__(self, plan: Plan, cores: Cores, place: Path) -> None:
        self.plan, self.cores, self.place = plan, cores, place
        self.figures = Figures()
        self.sqlite = SETTINGS | {"BENCH_SQLITE": str(place / "bench.sqlite3")}
        self.sessions: list[str] = []
        self.cells: dict[Cell, list[float]] = {}
        #: Seconds of the server's CPU for a GET of what is watched.
        self.get: list[float] = []

    # In one process.

    def prepare(self, database: Mapping[str, str]) -> list[str]:
        """Make tables and rows; returns the users' sessions."""
        return self._said(
            "benchmarks.live.project.prepare", str(self.plan.users), env=database
        ).split()

    def costs(self, name: str, database: Mapping[str, str], valkey: str) -> None:
        """What reads and writes cost on this database."""
        env = SETTINGS | database
        session = self.prepare(env)[0]
        say(f"costs on {name}")
        found = self._costs(env, self.plan.gets, session)
        say(f"costs on {name}, over Valkey")
        found |= self._costs(env | {"BENCH_VALKEY": valkey}, 0, session)
        noise: list[float] = []
        for case, ways in found.items():
            for each in zip(*ways.values(), strict=True):
                times = {way: time for way, (time, _) in zip(ways, each, strict=True)}
                cpu = {way: used for way, (_, used) in zip(ways, each, strict=True)}
                noise.append(times[AGAIN] / times[BARE])
                if TRACKED in times:
                    self._add_get(f"{name}, {case}", times)
                else:
                    self._add_save(f"{name}, {case}", times, cpu)
        for value in noise:
            self.figures.add("noise", f"{name}: a case / itself", value, TIMES)

    def _add_get(self, case: str, each: Mapping[str, float]) -> None:
        add = self.figures.add
        add("tracking", f"{case}: tracked / not", each[TRACKED] / each[INSTALLED], TIMES, TRACKING)
        add("tracking", f"{case}: not tracked", each[INSTALLED] * 1e3, "{:.2f} ms")
        ratio = each[INSTALLED] / each[BARE]
        add("untracked", f"{case}: watched connection / plain one", ratio, TIMES, NOTHING)

    def _add_save(self, case: str, times: Mapping[str, float], cpu: Mapping[str, float]) -> None:
        add = self.figures.add
        add("saves", f"{case}: watched / not", times[INSTALLED] / times[BARE], TIMES, SAVING)
        add("saves", f"{case}: CPU added", (cpu[INSTALLED] - cpu[BARE]) * 1e6, US)

    def _costs(
        self, env: Mapping[str, str], gets: int, session: str
    ) -> dict[str, dict[str, list[list[float]]]]:
        plan = self.plan
        numbers = map(str, (plan.rounds, gets, plan.saves, plan.case_seconds, self.cores.server))
        found: dict[str, dict[str, list[list[float]]]] = json.loads(
            self._said("benchmarks.live.costs", *numbers, session, env=env)
        )
        return found

    def _said(self, module: str, *arguments: str, env: Mapping[str, str]) -> str:
        said = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=processes.ROOT, env=processes.environment(env), stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False, timeout=LONGEST, start_new_session=True,
        )  # fmt: skip
        if said.returncode:
            raise RuntimeError(said.stderr)
        return said.stdout

    # With a server.

    def server(self, name: str) -> Server:
        command = (*UVICORN, "--loop", "uvloop", "benchmarks.live.project.asgi:application")
        # Each has a database of its own: nobody tells one server what the other has written.
        database = SETTINGS | {"BENCH_SQLITE": str(self.place / f"{name}.sqlite3")}
        self.sessions = self.prepare(database)
        return Server(name, command, self.cores.server, self.place, database)

    async def serving(self) -> None:
        with self.server("live") as server, explained(server):
            stage = await opened(server)
            await self.delays(stage)
            await self.crowd(stage)
        with (
            self.server("alone") as alone,
            self.server("among-others") as among,
            explained(alone),
            explained(among),
        ):
            await self.growth(await opened(alone), await opened(among))

    async def delays(self, stage: Stage) -> None:
        """How fast a commit reaches those that it concerns, where all watch something."""
        plan = self.plan
        cookies = [f"sessionid={session}" for session in self.sessions]
        say(f"{plan.users} users watch a row each")
        rows = range(1, plan.users + 1)
        for pk, cookie in zip(rows, cookies, strict=True):
            await stage.watched([f"/items/{pk}/"], [cookie])
        for _ in range(plan.delay_rounds):
            found = await paced(stage, plan.writes, 0.05, 1, rows)
            self._add_delays(ONE_AUDIENCE, found)
        await stage.check()
        stage.leave()
        await stage.nobody_is_left()
        say(f"{plan.users} users watch the same list")
        await stage.watched(["/items/"], cookies)
        for _ in range(plan.delay_rounds):
            found = await paced(stage, plan.writes, 0.5, plan.users)
            self._add_delays("a write concerns all of them", found)
        await stage.check()
        stage.leave()
        await stage.nobody_is_left()

    def _add_delays(self, claim: str, found: Paced) -> None:
        for name in ("first", "last"):
            values = [getattr(each, name) * 1000 for each in found.seen]
            for share, words in ((0.5, "median"), (0.99, "p99")):
                targeted = (name, words, claim) == ("last", "p99", ONE_AUDIENCE)
                target = SEEN_WITHIN if targeted else NONE
                claimed = f"{claim}: the {name} client, {words}"
                self.figures.add("delay", claimed, quantile(values, share), MS, target)
        self.figures.add("delay", f"{claim}: re-runs of a write", found.reruns, COUNT)
        self.figures.generator.setdefault(claim, []).append(found.generator)

    async def crowd(self, stage: Stage) -> None:
        """All watch the same public url."""
        number = self.plan.crowd
        say(f"{number:,} clients watch one url")
        await stage.watched(["/public/"], [""] * number)
        add = self.figures.add
        (audiences,) = await stage.counted("live_audiences")
        self.figures.facts.append(
            (f"{number:,} clients of one public url are one audience", audiences == 1)
        )
        for _ in range(self.plan.changes):
            found = await paced(stage, 1, 0.2, number)
            (seen,) = found.seen
            add("crowd", "re-runs of a change", found.reruns, COUNT, ONE_RERUN)
            add("crowd", "until the first client has it", seen.first, SECONDS)
            add("crowd", "until the last client has it", seen.last, SECONDS)
        await stage.check()
        stage.leave()

    async def growth(self, alone: Stage, among: Stage) -> None:
        """What a write costs the server, by who watches what."""
        plan = self.plan
        others = Stage(among.server, among.writer)
        await others.watched([f"/others/?q={number}" for number in range(plan.others)], [""])
        for cell in (Cell(0, 0, 0), Cell(0, 0, plan.others)):
            await self._cell(among if cell.others else alone, cell)
        for dependent in plan.dependent:
            urls = [f"/public/?q={number}" for number in range(dependent)]
            before = 0
            for each in plan.each:
                say(f"{dependent} audiences of {each}")
                for stage in (alone, among):
                    await stage.watched(urls, [""] * (each - before))
                before = each
                for _ in range(plan.cell_rounds):
                    await self._cell(alone, Cell(dependent, each, 0))
                    await self._cell(among, Cell(dependent, each, plan.others))
            for stage in (alone, among):
                await stage.check()
                stage.leave()
        self.get = [(await bare(alone, "/public/")).cpu for _ in range(plan.cell_rounds)]
        await others.check()
        self.conclude()

    async def _cell(self, stage: Stage, cell: Cell) -> None:
        found = await cost(stage, cell.dependent * cell.each, self.plan.cell_seconds)
        self.cells.setdefault(cell, []).append(found.cpu * 1000)
        claim = "re-runs of a write / audiences that depend on it"
        if cell.dependent:
            self.figures.add("reruns", claim, found.reruns / cell.dependent, COUNT, ONE_RERUN)
        elif found.reruns:
            raise RuntimeError("What nobody depends on was run again.")
        self.figures.generator.setdefault("what a write costs", []).append(found.generator)

    def conclude(self) -> None:
        """What the cells say of each thing that grows."""
        add, plan = self.figures.add, self.plan
        many, most = plan.dependent[-1], plan.each[-1]
        for number in range(plan.cell_rounds):

            def at(dependent: int, each: int, others: int, number: int = number) -> float:
                return self.cells[Cell(dependent, each, others)][number]

            for dependent in plan.dependent:
                ratio = at(dependent, 1, plan.others) / at(dependent, 1, 0)
                claim = f"{dependent} dependent: with {plan.others:,} others / without"
                add("growth", claim, ratio, TIMES, OTHERS)
            least = plan.dependent[0]
            more = (at(many, 1, 0) - at(least, 1, 0)) / (many - least)
            add("growth", "each further audience that depends on it", more * 1000, US)
            add("growth", "a GET of the same, asked for", self.get[number] * 1e6, US)
            ratio = more / 1000 / self.get[number]
            add("growth", "each further audience / a GET of the same", ratio, TIMES)
            more = (at(many, most, 0) - at(many, 1, 0)) / (many * (most - 1))
            add("growth", "each further subscriber of one", more * 1000, US)
            more = statistics.mean(
                at(each, 1, plan.others) - at(each, 1, 0) for each in plan.dependent
            )
            add("growth", "each other audience", more * 1000 / plan.others, US)
