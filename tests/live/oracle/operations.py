"""What may be written, by the ORM. Which rows it concerns, and what it writes, is the dice's to say."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any, TypeVar

from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.models import F, Model, QuerySet

from tests.live.oracle.models import Bug, Comment, Notice, Project, Tag, Task, Team

#: More tasks than these are not made.
MANY = 16

M = TypeVar("M", bound=Model)


class Dice:
    """Chooses rows and values, the same ones for the same seed and the same rows."""

    def __init__(self, seed: int, stamp: str, committed: Callable[[], None]) -> None:
        """``committed`` is to be called where something has been committed, before more is written."""
        self.random = random.Random(seed)
        self.committed = committed
        self._stamp = stamp
        self._texts = 0

    def text(self) -> str:
        """One that has never been written before."""
        self._texts += 1
        return f"{self._stamp}x{self._texts}"

    def number(self) -> int:
        return self.random.randrange(4)

    def some(self, rows: QuerySet[M]) -> list[M]:
        found = list(rows.order_by("pk"))
        return self.random.sample(found, self.random.randint(0, min(3, len(found))))

    def one(self, rows: QuerySet[M]) -> M | None:
        found = list(rows.order_by("pk"))
        return self.random.choice(found) if found else None

    def person(self) -> User:
        found = self.one(User.objects.all())
        assert found is not None
        return found

    def labelled(self) -> Any:
        kind: Any = self.random.choice([Project, Task, Comment, Notice])
        return self.one(kind.objects.all())


Operation = Callable[[Dice], object]


def create_project(dice: Dice) -> None:
    if Project.objects.count() >= MANY // 2:
        delete_project(dice)
    project = Project.objects.create(
        text=dice.text(),
        owner=dice.person(),
        team=dice.one(Team.objects.all()),
        public=dice.random.random() < 0.3,
        budget=Decimal(dice.number()) / 4,
    )
    project.tags.add(*dice.some(Tag.objects.all()))


def _new_task(dice: Dice, kind: type[Task] = Task, **values: Any) -> Task | None:
    project = dice.one(Project.objects.all())
    if project is None:
        return None
    return kind(
        id=uuid.UUID(int=dice.random.getrandbits(128), version=4),
        text=dice.text(),
        project=project,
        assignee=dice.random.choice([None, dice.person()]),
        weight=dice.number(),
        effort=dice.random.choice([None, 0.0, 0.5, 1.0, 1e16]),
        **values,
    )


def create_task(dice: Dice) -> None:
    if Task.objects.count() >= MANY:
        delete_many(dice)
    elif (task := _new_task(dice)) is not None:
        task.save(force_insert=True)


def create_bug(dice: Dice) -> None:
    task = _new_task(dice, Bug, severity=dice.number())
    if task is not None and Task.objects.count() < MANY:
        task.save()


def create_comment(dice: Dice) -> None:
    if (task := dice.one(Task.objects.all())) is not None and Comment.objects.count() < MANY:
        task.comments.create(author=dice.person(), text=dice.text())


def create_notice(dice: Dice) -> None:
    if Notice.objects.count() > 5:
        Notice.objects.earliest("pk").delete()
    Notice.objects.create(text=dice.text(), about=dice.one(Project.objects.all()))


def create_again(dice: Dice) -> None:
    """With the key of a row that was deleted."""
    latest = Project.objects.order_by("pk").last()
    pk = dice.random.randint(1, 1 if latest is None else latest.pk)  # later ones are the sequence's
    if not Project.objects.filter(pk=pk).exists():
        Project.objects.create(pk=pk, text=dice.text(), owner=dice.person(), public=True)


def save(dice: Dice) -> None:
    if (row := dice.labelled()) is not None:
        row.text = dice.text()
        row.save()


def save_fields(dice: Dice) -> None:
    if (task := dice.one(Task.objects.all())) is not None:
        task.text, task.done = dice.text(), not task.done
        task.save(update_fields=[dice.random.choice(["text", "done"])])


def save_bug(dice: Dice) -> None:
    """One, or both of its tables."""
    if (bug := dice.one(Bug.objects.all())) is not None:
        bug.text, bug.severity = dice.text(), bug.severity + 1
        bug.save(update_fields=dice.random.choice([None, ["severity"], ["text"]]))


def get_or_create(dice: Dice) -> None:
    name = f"tag{dice.number()}"
    Tag.objects.get_or_create(name=name)
    if (project := dice.one(Project.objects.all())) is not None:
        defaults = {"text": dice.text(), "weight": dice.number()}
        task = project.tasks.order_by("pk").first()
        pk = task.pk if task else uuid.UUID(int=dice.random.getrandbits(128), version=4)
        project.tasks.update_or_create(pk=pk, defaults=defaults)


def bulk_create(dice: Dice) -> None:
    room = MANY - Task.objects.count()
    made = [task for _ in range(min(room, 3)) if (task := _new_task(dice)) is not None]
    Task.objects.bulk_create(made)
    Comment.objects.bulk_create(
        [Comment(task=task, author=dice.person(), text=dice.text()) for task in made[:2]],
        ignore_conflicts=dice.random.random() < 0.3,
    )


def bulk_create_or_update(dice: Dice) -> None:
    tasks = dice.some(Task.objects.all())
    for task in tasks:
        task.text = dice.text()
    Task.objects.bulk_create(
        tasks, update_conflicts=True, unique_fields=["id"], update_fields=["text"]
    )


def bulk_update(dice: Dice) -> None:
    tasks = dice.some(Task.objects.all())
    for task in tasks:
        task.text, task.weight = dice.text(), dice.number()
    Task.objects.bulk_update(tasks, ["text", "weight"])


def update(dice: Dice) -> None:
    tasks = Task.objects.filter(weight=dice.number())
    tasks.update(done=dice.random.random() < 0.5, effort=None)
    if (project := dice.one(Project.objects.all())) is not None:
        Project.objects.filter(pk=project.pk).update(text=dice.text())


def update_by_expression(dice: Dice) -> None:
    Task.objects.filter(done=True).update(weight=F("weight") + 1)


def update_by_relation(dice: Dice) -> None:
    Task.objects.filter(project__owner=dice.person()).update(assignee=dice.person())


def move_task(dice: Dice) -> None:
    project = dice.one(Project.objects.all())
    if project is not None and (task := dice.one(Task.objects.all())) is not None:
        task.project = project
        task.save()


def delete_one(dice: Dice) -> None:
    if (row := dice.labelled()) is not None and row.kind != "P":
        row.delete()


def delete_many(dice: Dice) -> None:
    """With what hangs on them."""
    Task.objects.filter(pk__in=[task.pk for task in dice.some(Task.objects.all())]).delete()


def delete_fast(dice: Dice) -> None:
    """In one statement, as nothing hangs on them."""
    Comment.objects.filter(author=dice.person()).delete()


def delete_project(dice: Dice) -> None:
    if Project.objects.count() > 2 and (project := dice.one(Project.objects.all())) is not None:
        project.delete()


def delete_team(dice: Dice) -> None:
    """Its projects stay, without a team."""
    if (team := dice.one(Team.objects.all())) is not None:
        team.delete()
    Team.objects.create(name=dice.text())


def delete_tag(dice: Dice) -> None:
    Tag.objects.filter(name=f"tag{dice.number()}").delete()


def tags_add(dice: Dice) -> None:
    if (row := _tagged(dice)) is not None:
        row.tags.add(*dice.some(Tag.objects.all()))


def tags_remove(dice: Dice) -> None:
    if (row := _tagged(dice)) is not None:
        row.tags.remove(*dice.some(row.tags.all()))


def tags_set(dice: Dice) -> None:
    if (row := _tagged(dice)) is not None:
        row.tags.set(dice.some(Tag.objects.all()), clear=dice.random.random() < 0.5)


def tags_clear(dice: Dice) -> None:
    if (row := _tagged(dice)) is not None:
        row.tags.clear()


def tags_of_other_side(dice: Dice) -> None:
    if (tag := dice.one(Tag.objects.all())) is not None:
        tag.projects.set(dice.some(Project.objects.all()))
        tag.tasks.add(*dice.some(Task.objects.all()))


def write_on_commit(dice: Dice) -> None:
    """What is written when the rest has been committed."""
    if not (connection.in_atomic_block or connection.get_autocommit()):
        return  # Django's on_commit() is not for transactions of one's own
    if (task := dice.one(Task.objects.all())) is not None:
        text = dice.text()

        def write() -> None:
            dice.committed()
            Task.objects.filter(pk=task.pk).update(text=text)

        transaction.on_commit(write)


def _tagged(dice: Dice) -> Any:
    kind: Any = dice.random.choice([Project, Task])
    return dice.one(kind.objects.all())
