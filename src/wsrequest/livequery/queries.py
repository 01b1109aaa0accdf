"""Who watches what; and the GETs that are run again when a commit has written what they read, once per audience.

A *query* is a GET with all those whose answers can't differ. What it reads decides which changes concern it; what its
answer varies by decides who shares it. Both are learned anew by each run.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Hashable
from typing import Any

from wsrequest import log
from wsrequest.conf import Settings, get_settings
from wsrequest.errors import TooManyLiveAudiences
from wsrequest.lifecycle.response import Reply
from wsrequest.lifecycle.touched import Varies
from wsrequest.livequery.answer import Answer
from wsrequest.livequery.changes import Heard, Index
from wsrequest.livequery.ears import Ears
from wsrequest.livequery.interest import interest
from wsrequest.livequery.look import Look
from wsrequest.livequery.query import RETRY, Place, Query, Watcher
from wsrequest.metrics import metrics_in_force
from wsrequest.push.rows import Tables

#: Subscribers that are told of an answer before whatever else waits on the loop has its turn.
AT_ONCE = 256

#: By which factor the seconds grow until a GET that failed is run again.
GROWTH = 2.0

#: Differing states, among an audience, from which a patch is made; whoever holds another one gets the whole answer.
STATES = 8


class Queries:
    """One for each event loop that has connections."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        places: asyncio.Semaphore,
        off_loop: Callable[..., Awaitable[Any]],
    ) -> None:
        """``places``: GETs that run at once. ``off_loop`` calls a function on a thread."""
        self._loop = loop
        self._places = places
        self._off_loop = off_loop
        self._heard = Heard(interest)
        self._index: Index[Query] = Index(interest)
        self._queries: dict[Hashable, Query] = {}
        self._of: dict[Watcher, Query] = {}
        self._wanting = False
        #: Where triggers are heard; what processes say that they wrote is told there, too.
        self.ears = Ears(loop, self.changed, self.all_changed)
        #: GETs that were run again; those that a change did not cost, as one answer did for several subscribers or
        #: one run for several changes.
        self.reruns = self.saved = 0

    def __len__(self) -> int:
        return len(self._queries)

    def all(self) -> tuple[Query, ...]:
        return tuple(self._queries.values())

    # A subscription begins, and ends.

    def begin(self) -> int:
        """A snapshot is about to be taken: the mark for its :class:`Look`. Each has its :meth:`end`."""
        mark = self._heard.mark()
        self._want()
        return mark

    def end(self, look: Look) -> None:
        """The look has been entered, or nothing became of it."""
        self._heard.release(look.mark)
        self._want()

    def enter(self, watcher: Watcher, look: Look, varies: Varies, answer: Answer) -> Answer:
        """Keep this subscription up to date from now on: ``look`` has seen this answer, and what it varies by. Returns
        the answer as the audience has it. Raises :class:`~wsrequest.errors.TooManyLiveAudiences`."""
        reads = _copied(look.reads.tables)
        key = look.audience(varies)
        query = self._queries.get(key)
        if query is None:
            settings = get_settings()
            if len(self._queries) >= settings.max_live_audiences:
                raise TooManyLiveAudiences
            query = self._add(Query(key, varies, reads, answer, self._loop.time()))
            self._settle(query, settings)
        else:
            answer = query.answer.same_as(answer)
            self._depend(query, _union(query.reads, reads))
        self._join(query, watcher, Place(look.bearing, look.mark))
        if self._heard.since(look.mark, reads):
            self._due(query)
        return answer

    def leave(self, watcher: Watcher) -> None:
        """It is over, or asks for itself for a while."""
        query = self._of.pop(watcher, None)
        if query is None:
            return
        del query.members[watcher]
        if not query.members:
            self._remove(query)
        self._want()

    def close(self) -> None:
        """The loop is about to end: run nothing any more."""
        for query in self.all():
            if query.task is not None:
                query.task.cancel()
            for watcher in tuple(query.members):
                self.leave(watcher)

    # What has changed.

    def changed(self, tables: Tables) -> None:
        """A commit has written these."""
        self._heard.add(tables)
        for query in self._index.concerned(tables):
            self._due(query)

    def all_changed(self) -> None:
        """Nobody knows what has been written meanwhile."""
        self._heard.add(None)
        for query in tuple(self._queries.values()):
            self._due(query)

    def due(self, watcher: Watcher) -> None:
        """What its url answers has changed."""
        if watcher in self._of:
            self._due(self._of[watcher])

    def moved(self, watcher: Watcher) -> None:
        """Its credentials have changed: by these it may belong to another audience."""
        query = self._of.get(watcher)
        if query is not None and query.members[watcher].bearing != watcher.bearing():
            self._place(query, watcher, watcher.look(0, rerun=True), query.varies)

    # The queries.

    def _is_there(self, query: Query) -> bool:
        return self._queries.get(query.key) is query

    def _add(self, query: Query) -> Query:
        self._queries[query.key] = query
        self._index.add(query, query.reads)
        self._gauge()
        return query

    def _remove(self, query: Query) -> None:
        if self._is_there(query):
            del self._queries[query.key]
            self._index.remove(query, query.reads)
            self._gauge()
        if query.timer is not None:
            query.timer.cancel()

    def _depend(self, query: Query, reads: Tables) -> None:
        if reads != query.reads and self._is_there(query):
            self._index.replace(query, query.reads, reads)
        query.reads = reads

    def _join(self, query: Query, watcher: Watcher, place: Place) -> None:
        query.members[watcher] = place
        self._of[watcher] = query
        least = watcher.min_interval
        query.min_interval = get_settings().live_min_interval if least is None else least

    def _want(self) -> None:
        """Triggers are heard by who watches something."""
        wanting = bool(self._queries) or bool(self._heard)
        if wanting != self._wanting:
            self._wanting = wanting
            self.ears.want(wanting)

    # Running them again.

    def _due(self, query: Query) -> None:
        if query.dirty:
            self._save(query, 1)
            return
        query.dirty = True
        if query.task is None:
            self._schedule(query, query.started + query.min_interval - self._loop.time())

    def _settle(self, query: Query, settings: Settings) -> None:
        """Nothing is due before somebody has to ask whether all may still watch."""
        # Not all that came together, as after a deploy, are asked for together.
        self._schedule(query, settings.reauthorize_interval * random.uniform(0.5, 1))  # noqa: S311 (no secret)

    def _schedule(self, query: Query, seconds: float) -> None:
        if query.timer is not None:
            query.timer.cancel()
        query.timer = self._loop.call_later(max(0.0, seconds), self._start, query)

    def _start(self, query: Query) -> None:
        query.timer = None
        query.task = self._loop.create_task(self._work(query))

    async def _work(self, query: Query) -> None:
        try:
            await self._run(query)
        except Exception as error:  # noqa: BLE001 (logged, and tried again)
            log.rerun_failed(next(iter(query.members)).name if query.members else "", error)
            self._put_off(query, get_settings())
        finally:
            query.task = None
        if not query.members:
            self._remove(query)
            self._want()
        elif query.dirty:
            self._schedule(query, query.started + query.min_interval - self._loop.time())
        else:
            self._settle(query, get_settings())

    async def _run(self, query: Query) -> None:
        async with self._places:
            if not query.members:
                return
            query.started = self._loop.time()
            query.dirty = False
            mark = self._heard.mark()
            try:
                await self._ask(query, mark)
                query.dirty = query.dirty or self._heard.since(mark, query.reads)
                if not self._is_there(query):
                    self._dissolve(query)
            finally:
                self._heard.release(mark)
                self._want()

    async def _ask(self, query: Query, mark: int) -> None:
        watcher = next(iter(query.members))
        look = watcher.look(mark, rerun=True)
        if look.audience(query.varies) != query.key:  # its cookies have changed
            self._place(query, watcher, look, query.varies)
            query.dirty = True
            return
        reply = await watcher.ask(look)
        self._count(query)
        await self._answered(query, look, reply)

    async def _answered(self, query: Query, look: Look, reply: Reply) -> None:
        if _is_failure(reply.status) and self._bear_with(query):
            return
        if reply.varies is not None and reply.varies != query.varies:
            self._sort(query, look, reply.varies)
        if 200 <= reply.status < 300 and not reply.is_stream:
            await self._renew(query, look, reply)
        await self._tell(query, look, reply)

    def _bear_with(self, query: Query) -> bool:
        """The GET failed, which says nothing of what the client may see: try again, for as long as permission holds
        without being asked for."""
        settings, now = get_settings(), self._loop.time()
        if now - query.answered > settings.reauthorize_interval:
            return False
        self._put_off(query, settings)
        return True

    def _put_off(self, query: Query, settings: Settings) -> None:
        """Run it again in a while."""
        query.started = self._loop.time() + query.pause
        query.pause = min(query.pause * GROWTH, settings.reauthorize_interval)
        query.dirty = True

    async def _renew(self, query: Query, look: Look, reply: Reply) -> None:
        """The url has said yes: this is its state."""
        query.answered, query.pause = self._loop.time(), RETRY
        self._depend(query, _copied(look.reads.tables))
        former, answer = query.answer, query.answer.same_as(Answer(reply, look.call.codec))
        await self._compare(query, answer)
        if former is not answer:
            former.forget()
        query.answer = answer

    async def _tell(self, query: Query, look: Look, reply: Reply) -> None:
        """All that are left in it are given this answer."""
        self._save(query, len(query.members) - 1)
        for count, watcher in enumerate(tuple(query.members), 1):
            if not count % AT_ONCE:
                await asyncio.sleep(0)
            place = query.members.get(watcher)
            if place is None or place.mark > look.mark:
                continue  # it has left meanwhile; or come, with a later answer of its own
            if place.bearing != watcher.bearing():
                self._place(query, watcher, watcher.look(look.mark, rerun=True), query.varies)
            if watcher in query.members and watcher.judge(reply) and watcher in query.members:
                watcher.show(query.answer)

    async def _compare(self, query: Query, answer: Answer) -> None:
        """Make the patches that are needed, on a thread."""
        states = {id(each.state): each.state for each in query.members if each.state is not None}
        states.pop(id(answer), None)
        if states:
            await self._off_loop(answer.compare, list(states.values())[:STATES])

    def _sort(self, query: Query, look: Look, varies: Varies) -> None:
        """The answer varies by something else than before: it is only for those that agree with ``look`` in that."""
        self._remove(query)
        query.varies, query.key = varies, look.audience(varies)
        for watcher, place in tuple(query.members.items()):
            if place.bearing != look.bearing:
                self._place(query, watcher, watcher.look(look.mark, rerun=True), varies)
        if query.key not in self._queries:
            self._add(query)

    def _place(self, query: Query, watcher: Watcher, look: Look, varies: Varies) -> None:
        """Find its place anew: here, or where its answer is asked for by itself."""
        key, place = look.audience(varies), Place(look.bearing, query.members[watcher].mark)
        if key == query.key:
            query.members[watcher] = place
            return
        self._take(query, watcher)
        other = self._queries.get(key)
        if other is None:
            other = self._add(Query(key, varies, query.reads, query.answer, self._loop.time()))
            other.answered = query.answered
        self._join(other, watcher, place)
        self._due(other)

    def _dissolve(self, query: Query) -> None:
        """There is another query for the same audience by now."""
        other = self._queries.get(query.key)
        if other is None:  # nobody was left
            return
        self._depend(other, _union(other.reads, query.reads))
        for watcher, place in tuple(query.members.items()):
            self._take(query, watcher)
            self._join(other, watcher, place)
        if query.dirty:
            self._due(other)

    def _take(self, query: Query, watcher: Watcher) -> None:
        del query.members[watcher]
        del self._of[watcher]
        if not query.members and query.task is None:
            self._remove(query)

    # The figures.

    def _count(self, query: Query) -> None:
        query.reruns += 1
        self.reruns += 1
        if (metrics := metrics_in_force(get_settings())) is not None:
            metrics.count("live_reruns")

    def _save(self, query: Query, number: int) -> None:
        if number <= 0:
            return
        query.saved += number
        self.saved += number
        if (metrics := metrics_in_force(get_settings())) is not None:
            metrics.count("live_reruns_saved", number)

    def _gauge(self) -> None:
        if (metrics := metrics_in_force(get_settings())) is not None:
            metrics.gauge("live_audiences", len(self._queries))


def _is_failure(status: int) -> bool:
    """Whether it says nothing of what may be seen: something went wrong, or was asked for too often."""
    return status >= 500 or status == 429


def _copied(reads: Tables) -> Tables:
    """As it is now: a thread that the view left behind may still read."""
    return {table: None if rows is None else frozenset(rows) for table, rows in list(reads.items())}


def _union(first: Tables, second: Tables) -> Tables:
    if first == second:
        return first
    both = dict(first)
    for table, rows in second.items():
        known = both.get(table, ())
        both[table] = None if rows is None or known is None else frozenset(known).union(rows)
    return both
