"""The machine: what may happen in any order, and what must hold after each commit."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests.live.oracle import plan
from tests.live.oracle.client import PATIENCE, Connection, Subscription
from tests.live.oracle.labels import ANYBODY, Allowed, comparable
from tests.live.oracle.watched import FIXED, OF_PROJECT, OF_TASK, OK, Url
from tests.live.oracle.world import World

#: Connections, and subscriptions of all of them.
CONNECTIONS, SUBSCRIPTIONS = 5, 9

LANGUAGES = ("en", "de", "fr")

indices = st.integers(0, 63)
seeds = st.integers(0, 2**16 - 1)
hows = st.sampled_from(plan.HOW)
doors = st.sampled_from(("/write/", "/awrite/", "shell"))
names = st.sampled_from((*plan.PEOPLE, ANYBODY))


def some(operations: tuple[str, ...]) -> Any:
    return st.lists(st.tuples(st.sampled_from(operations), seeds), min_size=1, max_size=3)


on_rows, in_sql, on_people = some(plan.ON_ROWS), some(plan.IN_SQL), some(plan.ON_PEOPLE)
anything = some(plan.ON_ROWS + plan.IN_SQL + plan.ON_PEOPLE)


class Machine(RuleBasedStateMachine):
    """Every rule is a step, after which everybody is up to date.

    What hypothesis draws depends on nothing that has happened: a rule that can't be followed does nothing. (When exactly
    a subscription ends, say, is not always the same.)
    """

    world: ClassVar[World]

    def __init__(self) -> None:
        super().__init__()
        self.world.story = []
        self.connections: list[Connection] = []
        self.operators: list[Connection] = []
        self.present = self.world.shell("reset")
        self.allowed = Allowed(self.present["seen"][0])
        self.stamps = 0

    # What happens.

    @initialize(urls=st.lists(indices, min_size=4, max_size=6))
    def begin(self, urls: list[int]) -> None:
        self.world.run(self._begin(urls))
        self._settle(f"begin {urls}")

    async def _begin(self, urls: list[int]) -> None:
        for server in self.world.servers:
            operator = Connection(server.ws, server.http, ANYBODY, "en")
            await operator.open()
            self.operators.append(operator)
        for number, name in enumerate(("ann", "bob", "dan")):
            await self._connect(number, name, LANGUAGES[number])
        for number, url in enumerate(urls):
            connection = self.connections[number % len(self.connections)]
            await self._subscribe(connection, self._url(url))

    @rule(where=indices, door=doors, how=hows, what=on_rows)
    def write_rows(self, where: int, door: str, how: str, what: Any) -> None:
        self._write_and_settle(where, door, how, what)

    @rule(where=indices, door=doors, how=hows, what=in_sql)
    def write_in_sql(self, where: int, door: str, how: str, what: Any) -> None:
        self._write_and_settle(where, door, how, what)

    @rule(where=indices, door=doors, how=hows, what=on_people)
    def write_of_people(self, where: int, door: str, how: str, what: Any) -> None:
        self._write_and_settle(where, door, how, what)

    @rule(where=indices, door=doors, how=hows, what=anything)
    def write_anything(self, where: int, door: str, how: str, what: Any) -> None:
        self._write_and_settle(where, door, how, what)

    @rule(
        writes=st.lists(st.tuples(indices, doors, hows, anything), min_size=2, max_size=4),
    )
    def burst(self, writes: list[Any]) -> None:
        """Nobody waits for anybody to be up to date."""

        async def write() -> None:
            for each in writes:
                await self._write(*each)

        self.world.run(write())
        self._settle(f"burst {writes}")

    @rule(connection=indices, url=indices)
    def subscribe(self, connection: int, url: int) -> None:
        if not self._has_room():
            return
        chosen, wanted = self._connection(connection), self._url(url)
        self.world.run(self._subscribe(chosen, wanted))
        self._settle(f"subscribe {chosen.name} {wanted.path}")

    @rule(connection=indices, url=indices, where=indices, door=doors, how=hows, what=anything)
    def subscribe_meanwhile(
        self, connection: int, url: int, where: int, door: str, how: str, what: Any
    ) -> None:
        """While somebody writes."""
        if not self._has_room():
            return
        chosen, wanted = self._connection(connection), self._url(url)

        async def both() -> None:
            await asyncio.gather(
                self._subscribe(chosen, wanted), self._write(where, door, how, what)
            )

        self.world.run(both())
        told = f"{chosen.name} {wanted.path} and write {(where, door, how, what)}"
        self._settle(f"subscribe meanwhile {told}")

    @rule(subscription=indices)
    def unsubscribe(self, subscription: int) -> None:
        there = self._subscriptions()
        if len(there) < 3:
            return
        chosen = there[subscription % len(there)]
        self.world.run(chosen.connection.cancel(chosen))
        self._settle(f"unsubscribe {chosen}")

    @rule(server=indices, name=names, language=st.sampled_from(LANGUAGES))
    def connect(self, server: int, name: str, language: str) -> None:
        if len(self.connections) == CONNECTIONS:
            return
        self.world.run(self._connect(server, name, language))
        self._settle(f"connect {name} in {language}")

    @rule(connection=indices, rudely=st.booleans())
    def disconnect(self, connection: int, rudely: bool) -> None:
        if len(self.connections) < 3:
            return
        chosen = self._connection(connection)
        self.connections.remove(chosen)
        self.world.run(chosen.close(rudely=rudely))
        self._settle(f"disconnect {chosen.name}")

    @rule(connection=indices, server=indices, where=indices, what=anything)
    def reconnect(self, connection: int, server: int, where: int, what: Any) -> None:
        """The network is gone for a while, in which somebody writes."""
        chosen = self._connection(connection)
        urls = [each.url for each in chosen.subscriptions.values()]
        self.connections.remove(chosen)

        async def again() -> None:
            await chosen.close(rudely=True)
            await self._write(where, "/write/", "each", what)
            made = await self._connect(server, chosen.name, chosen.language)
            for url in urls:
                await self._subscribe(made, url)

        self.world.run(again())
        self._settle(f"reconnect {chosen.name}, and write {what}")

    @rule(connection=indices, name=st.sampled_from(plan.PEOPLE))
    def enter(self, connection: int, name: str) -> None:
        chosen = self._connection(connection)
        self.world.run(chosen.request(f"/enter/{name}/", becomes=name))
        self._settle(f"enter {name}")

    @rule(connection=indices)
    def leave(self, connection: int) -> None:
        chosen = self._connection(connection)
        self.world.run(chosen.request("/leave/", becomes=ANYBODY))
        self._settle(f"leave {chosen.name}")

    def teardown(self) -> None:
        async def close() -> None:
            for connection in (*self.connections, *self.operators):
                await connection.close()

        self.world.run(close())

    # How it is done.

    def _subscriptions(self) -> list[Subscription]:
        return [each for one in self.connections for each in one.subscriptions.values()]

    def _has_room(self) -> bool:
        return len(self._subscriptions()) < SUBSCRIPTIONS

    def _connection(self, number: int) -> Connection:
        return self.connections[number % len(self.connections)]

    def _url(self, number: int) -> Url:
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

    def _write_and_settle(self, where: int, door: str, how: str, what: Any) -> None:
        self.world.run(self._write(where, door, how, what))
        self._settle(f"write {where} {door} {how}: {what}")

    async def _write(self, where: int, door: str, how: str, what: Any) -> None:
        self.stamps += 1
        said = {"how": how, "operations": what, "stamp": f"s{self.stamps}", "touch": []}
        if not self.world.live:
            said["touch"] = sorted({each.url.path for each in self._subscriptions()})
        if door == "shell" and self.world.shell_writes:
            told = self.world.shell("write", said)
        else:
            operator = self.operators[where % len(self.operators)]
            answer = await operator.request(door if door != "shell" else "/write/", said)
            if answer["status"] != OK:
                self.world.fail(f"{said} was answered {answer}")
            told = answer["data"]
        self.allowed.add(told["seen"])
        self._end_sessions(told["passwords"])
        self.present = told

    def _end_sessions(self, passwords: dict[str, str]) -> None:
        """Who has another password is logged out everywhere."""
        for name, password in passwords.items():
            if password != self.present["passwords"][name]:
                for connection in self.connections:
                    if connection.name == name:
                        connection.name = ANYBODY

    # What must hold.

    def _settle(self, step: str) -> None:
        self.world.note(step)
        there = self._subscriptions()
        asks = {self._ask(each): each for each in there}
        answers = self.world.shell(
            "get", [{"user": user, "url": url, "headers": dict(headers)} for user, url, headers in asks]
        )
        fresh = dict(zip(asks, answers, strict=True))
        self.world.run(self._all_up_to_date(there, fresh))
        for each in there:
            self._look_at(each, *fresh[self._ask(each)])
        self.allowed.settle()

    def _ask(self, each: Subscription) -> Any:
        host = each.connection.origin.removeprefix("http://")
        headers = (("host", host), ("accept-language", each.connection.language))
        return each.connection.name, each.url.path, headers

    async def _all_up_to_date(self, there: list[Subscription], fresh: Any) -> None:
        for each in there:
            status, body = fresh[self._ask(each)]
            wanted = comparable(body)

            def is_so(each: Subscription = each, status: int = status, wanted: Any = wanted) -> bool:
                return each.ended is not None or (
                    status == OK and comparable(each.state) == wanted
                )

            if not await each.connection.until(is_so):
                self.world.fail(
                    f"{each}: a GET is answered {status}:\n{body}\n"
                    f"held for {PATIENCE} s, by patches and replaces up to {each.rev}:\n{each.state}"
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
                for who in {name, *(who for who, _ in each.held)}
            } - {OK}
            if each.ended not in possible:
                self.world.fail(f"{each} ended with {each.ended}, and might with {possible}")
        for who, labels in each.held:
            if hidden := labels - self.allowed.to(who):
                self.world.fail(f"{each} held, as {who}, what he may not see: {sorted(hidden)}")
        self.world.patches += each.patches
        self.world.replaces += each.replaces
        each.patches = each.replaces = 0
        each.held.clear()
        if each.ended is not None:
            self.world.ends += 1
            del each.connection.subscriptions[each.id]
