"""One step of writing, in whichever process it is done: operations, how they go, and who may see what then."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from tests.live.oracle import operations, people, plan, raw
from tests.live.oracle.labels import Seen
from tests.live.oracle.models import Notice, Project, Task
from tests.live.oracle.operations import Dice, Operation
from tests.live.oracle.visibility import visible
from wsrequest import touch

OPERATIONS: dict[str, Operation] = {
    name: getattr(module, name)
    for module, names in (
        (operations, plan.ON_ROWS),
        (raw, plan.IN_SQL),
        (people, plan.ON_PEOPLE),
    )
    for name in names
}

PATIENCE = 20


class Undone(Exception):
    """A transaction fails."""


class Step:
    """``seen`` is what may be seen after each commit."""

    def __init__(self, said: Any) -> None:
        self.seen: list[Seen] = []
        self._how: str = said["how"]
        self._touches: list[str] = said["touch"]
        self._todo = [
            (OPERATIONS[name], Dice(seed, f"{said['stamp']}o{number}", self._committed))
            for number, (name, seed) in enumerate(said["operations"])
        ]

    def run(self) -> dict[str, Any]:
        getattr(self, "_" + self._how.replace(" ", "_"))()
        if self._touches:
            touch(*self._touches)
        return {"seen": self.seen, **present()}

    def _committed(self) -> None:
        self.seen.append(visible())

    def _do(self) -> None:
        for operation, dice in self._todo:
            operation(dice)

    def _each(self) -> None:
        for operation, dice in self._todo:
            operation(dice)
            self._committed()

    def _together(self) -> None:
        with transaction.atomic():
            self._do()
        self._committed()

    def _rolled_back(self) -> None:
        try:
            with transaction.atomic():
                self._do()
                raise Undone
        except Undone:
            self._committed()

    def _savepoints(self) -> None:
        with transaction.atomic():
            for number, (operation, dice) in enumerate(self._todo):
                _undo(operation, dice, undo=bool(number % 2))
        self._committed()

    def _nested(self) -> None:
        with transaction.atomic():
            self._nest(0)
        self._committed()

    def _nest(self, number: int) -> None:
        if number == len(self._todo):
            return
        operation, dice = self._todo[number]
        try:
            with transaction.atomic():
                operation(dice)
                self._nest(number + 1)
                if number % 2:
                    raise Undone
        except Undone:
            pass

    def _in_thread(self) -> None:
        _in_thread(self._together)

    def _beside(self) -> None:
        """The other transaction is committed last. SQLite has only one that writes at a time."""
        if connection.vendor == "sqlite":
            self._in_thread()
            return
        text = self._todo[0][1].text()
        wrote, may_commit = threading.Event(), threading.Event()

        def beside() -> None:
            with transaction.atomic():
                Notice.objects.create(text=text)
                wrote.set()
                assert may_commit.wait(PATIENCE)

        def around() -> None:
            assert wrote.wait(PATIENCE)
            try:
                self._together()
            finally:
                may_commit.set()

        _in_thread(beside, meanwhile=around)
        self._committed()

    def _manual(self) -> None:
        transaction.set_autocommit(False)
        try:
            self._do()
            transaction.commit()
        finally:
            transaction.rollback()
            transaction.set_autocommit(True)
        self._committed()


def _undo(operation: Operation, dice: Dice, *, undo: bool) -> None:
    try:
        with transaction.atomic():
            operation(dice)
            if undo:
                raise Undone
    except Undone:
        pass


def _in_thread(work: Callable[[], None], meanwhile: Callable[[], None] | None = None) -> None:
    errors: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 (raised again by who waits)
            errors.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        if meanwhile is not None:
            meanwhile()
    finally:
        thread.join()
    if errors:
        raise errors[0]


def present() -> dict[str, Any]:
    """What there is to be asked for by its key, and the passwords, with which sessions end."""
    return {
        "projects": list(Project.objects.order_by("pk").values_list("pk", flat=True)),
        "tasks": [str(pk) for pk in Task.objects.order_by("pk").values_list("pk", flat=True)],
        "passwords": dict(
            User.objects.filter(username__in=plan.PEOPLE).values_list("username", "password")
        ),
    }


@csrf_exempt
def write(request: HttpRequest) -> JsonResponse:
    return JsonResponse(Step(json.loads(request.body)).run())


@csrf_exempt
async def awrite(request: HttpRequest) -> JsonResponse:
    return JsonResponse(await sync_to_async(Step(json.loads(request.body)).run)())
