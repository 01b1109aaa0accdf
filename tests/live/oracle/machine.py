"""The machine: what may happen in any order, and what must hold after each commit."""

from __future__ import annotations

import asyncio
import functools
import random
from collections.abc import Callable
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests.live.oracle import plan
from tests.live.oracle.client import Connection, Subscription
from tests.live.oracle.labels import ANYBODY, Allowed, comparable
from tests.live.oracle.watched import FIXED, OF_PROJECT, OF_TASK, OK, Url
from tests.live.oracle.world import World

#: Connections, and subscriptions of all of them.
CONNECTIONS, SUBSCRIPTIONS = 4, 6

#: Subscriptions that there are to be.
FEW = 3

LANGUAGES = ("en", "de")

SHELL = "shell"

indices = st.integers(0, 63)
seeds = st.integers(0, 2**32 - 1)
names = st.sampled_from((*plan.PEOPLE, ANYBODY))

OPERATIONS = (plan.ON_ROWS, plan.IN_SQL, plan.ON_PEOPLE)
DOORS = ("/write/", "/awrite/", SHELL)


class Write:
    """What a seed, and the number of the step, make of a step of writing: where, how, and up to three operations.

    The number has a part in it because hypothesis likes to repeat itself.
    """

    def __init__(self, seed: int, number: int) -> None:
        dice = random.Random(f"{seed} {number}")
        self.where = dice.randrange(64)
        self.door = dice.choice(DOORS)
        self.how = dice.choice(plan.HOW)
        kinds = dice.choices(OPERATIONS, (4, 1, 2), k=dice.randint(1, 3))
        self.operations = [[dice.choice(kind), dice.randrange(2**16)] for kind in kinds]

    def __str__(self) -> str:
        told = ", ".join(f"{name} {seed}" for name, seed in self.operations)
        return f"write ({self.door} {self.where}, {self.how}): {told}"


def happens(**drawn: Any) -> Callable[[Callable[..., None]], Any]:
    """A rule, which does nothing any more where there were steps enough, or something has gone wrong."""

    def decorate(function: Callable[..., None]) -> Any:
        @functools.wraps(function)
        def step(machine: Machine, **arguments: Any) -> None:
            if not machine.is_over:
                with machine.world.telling():
                    function(machine, **arguments)

        return rule(**drawn)(step)

    return decorate


class Machine(RuleBasedStateMachine):
    """Every rule is a step, after which everybody is up to date.

    What hypothesis draws depends on nothing that has happened: a rule that can't be followed does something else. (When
    exactly a subscription ends, say, is not always the same.)
    """

    world: ClassVar[World]

    def __init__(self) -> None:
        super().__init__()
        self.world.story = []
        self.connections: list[Connection] = []
        self.operators: list[Connection] = []
        #: The number of writes, and how many there were when everybody was last up to date.
        self.stamps = self.settled = 0
        self.is_over = self.world.steps >= self.world.wanted or bool(self.world.failure)
        if self.is_over:
            return
        self.present = self.world.shell("reset")
        self.allowed = Allowed(self.present["seen"][0])

    # What happens.

    @initialize(urls=st.lists(indices, min_size=3, max_size=5))
    def begin(self, urls: list[int]) -> None:
        if self.is_over:
            return
        with self.world.telling():
            self.world.run(self._begin(urls))
            self._settle(f"begin {urls}")

    async def _begin(self, urls: list[int]) -> None:
        for server in self.world.servers:
            operator = Connection(server.ws, server.http, ANYBODY, "en")
            await operator.open()
            self.operators.append(operator)
        for number, name in enumerate(("ann", "bob", "dan")):
            await self._connect(number, name, LANGUAGES[number // 2])
        for number, url in enumerate(urls):
            connection = self.connections[number % len(self.connections)]
            await self._subscribe(connection, self._url(url))

    @happens(seed=seeds)
    def change(self, seed: int) -> None:
        self._change(seed)

    @happens(seed=seeds)
    def change_something(self, seed: int) -> None:
        self._change(seed)

    @happens(seed=seeds)
    def change_something_else(self, seed: int) -> None:
        """Three rules of the same kind, for three times as many writes."""
        self._change(seed)

    @happens(writes=st.lists(seeds, min_size=2, max_size=4))
    def change_much(self, writes: list[int]) -> None:
        """Nobody waits for anybody to be up to date."""

        async def write() -> list[Write]:
            return [await self._write(seed) for seed in writes]

        told = "; ".join(map(str, self.world.run(write())))
        self._settle(f"at once: {told}")

    @happens(connection=indices, url=indices, seed=seeds)
    def subscribe(self, connection: int, url: int, seed: int) -> None:
        if len(self._subscriptions()) >= SUBSCRIPTIONS:
            self._change(seed)
            return
        chosen, wanted = self._connection(connection), self._url(url)
        self.world.run(self._subscribe(chosen, wanted))
        self._settle(f"subscribe {chosen.name} {wanted.path}")

    @happens(connection=indices, url=indices, seed=seeds)
    def subscribe_meanwhile(self, connection: int, url: int, seed: int) -> None:
        """While somebody writes."""
        if len(self._subscriptions()) >= SUBSCRIPTIONS:
            self._change(seed)
            return
        chosen, wanted = self._connection(connection), self._url(url)

        async def both() -> Write:
            _, write = await asyncio.gather(self._subscribe(chosen, wanted), self._write(seed))
            return write

        write = self.world.run(both())
        self._settle(f"subscribe {chosen.name} {wanted.path}, and meanwhile {write}")

    @happens(subscription=indices, seed=seeds)
    def unsubscribe(self, subscription: int, seed: int) -> None:
        there = self._subscriptions()
        if len(there) < 3:
            self._change(seed)
            return
        chosen = there[subscription % len(there)]
        self.world.run(chosen.connection.cancel(chosen))
        self._settle(f"unsubscribe {chosen}")

    @happens(server=indices, name=names, language=st.sampled_from(LANGUAGES), urls=indices)
    def connect(self, server: int, name: str, language: str, urls: int) -> None:
        """Another client, in place of one of those that are there where these are many."""

        async def connect() -> None:
            if len(self.connections) == CONNECTIONS:
                await self.connections.pop(urls % CONNECTIONS).close(rudely=bool(urls % 2))
            made = await self._connect(server, name, language)
            for url in range(urls, urls + 2):
                await self._subscribe(made, self._url(url * 7))

        self.world.run(connect())
        self._settle(f"connect {name} in {language}, {urls}")

    @happens(connection=indices, server=indices, seed=seeds)
    def reconnect(self, connection: int, server: int, seed: int) -> None:
        """The network is gone for a while, in which somebody writes."""
        chosen = self._connection(connection)
        urls = [each.url for each in chosen.subscriptions.values()]
        self.connections.remove(chosen)

        async def again() -> Write:
            await chosen.close(rudely=True)
            write = await self._write(seed)
            made = await self._connect(server, chosen.name, chosen.language)
            for url in urls:
                await self._subscribe(made, url)
            return write

        self._settle(f"reconnect {chosen.name}, and {self.world.run(again())}")

    @happens(connection=indices, name=names)
    def become(self, connection: int, name: str) -> None:
        """Somebody logs in, or out, over the socket."""
        chosen = self._connection(connection)
        former = chosen.name
        url = f"/enter/{name}/" if name else "/leave/"
        self.world.run(chosen.request(url, becomes=name))
        if not self.world.live:
            touch = {"how": "each", "operations": [], "stamp": "", "touch": self._paths()}
            self.world.run(self.operators[0].request("/write/", touch))
        self._settle(f"from {former or 'nobody'} to {name or 'nobody'}")

    def teardown(self) -> None:
        async def close() -> None:
            for connection in (*self.connections, *self.operators):
                await connection.close()

        with self.world.telling():
            self.world.run(close())

    # How it is done.

    def _subscriptions(self) -> list[Subscription]:
        return [each for one in self.connections for each in one.subscriptions.values()]

    def _connection(self, number: int) -> Connection:
        return self.connections[number % len(self.connections)]

    def _url(self, number: int) -> Url:
        """Mostly one that somebody watches, so that there are audiences."""
        watched = [each.url for each in self._subscriptions()]
        if watched and number % 2:
            return watched[number // 2 % len(watched)]
        urls = [*FIXED]
        for key in self.present["projects"][:3]:
            urls += [url.of(key) for url in OF_PROJECT]
        for key in self.present["tasks"][:3]:
            urls += [url.of(key) for url in OF_TASK]
        return urls[number % len(urls)]

    async def _connect(self, server: int, name: str, language: str) -> Connection:
        chosen = self.world.servers[server % len(self.world.servers)]
        connection = Connection(chosen.ws, chosen.http, name, language)
        await connection.open(self.world.shell("session", name) if name else "")
        self.connections.append(connection)
        return connection

    async def _subscribe(self, connection: Connection, url: Url) -> None:
        made = await connection.subscribe(url, live=self.world.live)
        if not await connection.until(lambda: made.answer is not None):
            self.world.fail(f"no answer to {made}")

    def _change(self, seed: int) -> None:
        """With somebody there who may be concerned."""

        async def change() -> tuple[str, Write]:
            told = ""
            if len(self._subscriptions()) < FEW:
                connection, url = self._connection(seed), self._url(seed // 64)
                await self._subscribe(connection, url)
                told = f"subscribe {connection.name} {url.path}, and "
            return told, await self._write(seed)

        told, write = self.world.run(change())
        self._settle(f"{told}{write}")

    async def _write(self, seed: int) -> Write:
        self.stamps += 1
        write = Write(seed, self.stamps)
        said = {"how": write.how, "operations": write.operations, "stamp": f"s{self.stamps}"}
        said["touch"] = [] if self.world.live else self._paths()
        if write.door == SHELL and self.world.shell_writes:
            told = self.world.shell("write", said)
        else:
            operator = self.operators[write.where % len(self.operators)]
            url = "/write/" if write.door == SHELL else write.door
            answer = await operator.request(url, said)
            if answer["status"] != OK:
                self.world.fail(f"{write} was answered {answer}")
            told = answer["data"]
        self.allowed.add(told["seen"])
        self._end_sessions(told["passwords"])
        self.present = told
        return write

    def _paths(self) -> list[str]:
        return sorted({each.url.path for each in self._subscriptions()})

    def _end_sessions(self, passwords: dict[str, str]) -> None:
        """Who has another password is logged out everywhere."""
        for name, password in passwords.items():
            if password != self.present["passwords"][name]:
                for connection in self.connections:
                    if connection.name == name:
                        connection.was, connection.name = name, ANYBODY

    # What must hold.

    def _settle(self, step: str) -> None:
        self.world.note(step, max(1, self.stamps - self.settled))
        self.settled = self.stamps
        there = self._subscriptions()
        asks = {self._ask(each): each for each in there}
        answers = self.world.shell(
            "get",
            [{"user": user, "url": url, "headers": dict(headers)} for user, url, headers in asks],
        )
        fresh = dict(zip(asks, answers, strict=True))
        self.world.run(self._all_up_to_date(there, fresh))
        for each in there:
            self._look_at(each, *fresh[self._ask(each)])
        self.allowed.settle()
        for connection in self.connections:
            connection.was = ANYBODY

    def _ask(self, each: Subscription) -> Any:
        host = each.connection.origin.removeprefix("http://")
        headers = (("host", host), ("accept-language", each.connection.language))
        return each.connection.name, each.url.path, headers

    async def _all_up_to_date(self, there: list[Subscription], fresh: Any) -> None:
        for each in there:
            status, body = fresh[self._ask(each)]
            wanted = comparable(body)

            def is_so(
                each: Subscription = each, status: int = status, wanted: Any = wanted
            ) -> bool:
                return each.ended is not None or (status == OK and comparable(each.state) == wanted)

            if not await each.connection.until(is_so, self.world.patience):
                self.world.fail(
                    f"{each}: a GET is answered {status}:\n{body}\n"
                    f"held for {self.world.patience} s, by patches and replaces up to {each.rev}:\n{each.state}"
                )

    def _look_at(self, each: Subscription, status: int, body: Any) -> None:
        name = each.connection.name
        expected = each.url.status(self.allowed.last, name)
        if status != expected:
            self.world.fail(f"{each}: a GET is answered {status}, not {expected}")
        if each.ended is not None:
            possible = {
                each.url.status(seen, who)
                for seen in self.allowed.all
                for who in {name, each.connection.was, *(who for who, _ in each.held)}
            } - {OK}
            if possible:  # a view may be overtaken between its questions
                possible |= {status for _, status in each.url.needs}
            if each.ended not in possible:
                self.world.fail(f"{each} ended with {each.ended}, and might with {possible}")
        for who, labels in each.held:
            allowed = self.allowed.to(who) | self.allowed.to(each.connection.was)
            if hidden := labels - allowed:
                self.world.fail(f"{each} held, as {who}, what he may not see: {sorted(hidden)}")
        self.world.patches += each.patches
        self.world.replaces += each.replaces
        each.patches = each.replaces = 0
        each.held.clear()
        if each.ended is not None:
            self.world.ends += 1
            del each.connection.subscriptions[each.id]
