"""What may be written in SQL of one's own."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import connection

from tests.live.oracle.models import Comment, Notice, Project, Task
from tests.live.oracle.operations import MANY, Dice


def _execute(sql: str, parameters: Any = None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)


def _key(pk: uuid.UUID) -> object:
    """As the database has it."""
    return pk if connection.vendor == "postgresql" else pk.hex


def raw_update(dice: Dice) -> None:
    if (task := dice.one(Task.objects.all())) is not None:
        _execute(
            "UPDATE oracle_task SET text = %s, done = %s WHERE id = %s",
            [dice.text(), not task.done, _key(task.pk)],
        )


def raw_update_all(dice: Dice) -> None:
    sql = 'update "oracle_notice" set text = SUBSTR(text, 1, 12) || %s /* all of them */'
    _execute(sql, [dice.text()])


def raw_executemany(dice: Dice) -> None:
    tasks = dice.some(Task.objects.all())
    with connection.cursor() as cursor:
        cursor.executemany(
            "UPDATE oracle_task SET weight = %s, text = %s WHERE id = %s",
            [(dice.number(), dice.text(), _key(task.pk)) for task in tasks],
        )


def raw_insert_select(dice: Dice) -> None:
    """A comment for each task of a project, by its owner."""
    project = dice.one(Project.objects.all())
    if project is not None and Comment.objects.count() < MANY:
        _execute(
            "INSERT INTO oracle_comment (text, task_id, author_id)"
            " SELECT %s, t.id, p.owner_id FROM oracle_task t"
            " JOIN oracle_project p ON p.id = t.project_id WHERE p.id = %s",
            [dice.text(), project.pk],
        )


def raw_delete(dice: Dice) -> None:
    _execute(
        "DELETE FROM oracle_comment WHERE author_id = %s AND task_id IN"
        " (SELECT id FROM oracle_task WHERE done = %s)",
        [dice.person().pk, dice.random.random() < 0.5],
    )


def raw_with(dice: Dice) -> None:
    _execute(
        "WITH heavy AS (SELECT id FROM oracle_task WHERE weight >= %s)"
        " UPDATE oracle_task SET text = SUBSTR(text, 2, 30) || %s WHERE id IN (SELECT id FROM heavy)",
        [dice.number(), "w"],
    )


def raw_key(dice: Dice) -> None:
    """A row that gets another key: one that nobody has, nor is given soon."""
    if (comment := dice.one(Comment.objects.all())) is not None:
        greatest = max(Comment.objects.values_list("pk", flat=True))
        _execute(
            "UPDATE oracle_comment SET id = %s WHERE id = %s",
            [greatest + 1_000_000, comment.pk],
        )


def raw_odd(dice: Dice) -> None:
    """As nobody writes it, and databases take it."""
    if (notice := dice.one(Notice.objects.all())) is not None:
        _execute(
            "  -- a word first\n\tUpDate\n  Oracle_Notice\n SET text=%(text)s  where ID=%(pk)s ;",
            {"text": dice.text(), "pk": notice.pk},
        )


def raw_returning(dice: Dice) -> None:
    project = dice.one(Project.objects.all())
    if project is not None:
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE oracle_project SET text = %s WHERE id = %s RETURNING id",
                [dice.text(), project.pk],
            )
            assert cursor.fetchall() == [(project.pk,)]
