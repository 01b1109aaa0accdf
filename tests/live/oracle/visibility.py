"""Who may see which rows, worked out row by row in Python: what no query of a view has a part in."""

from __future__ import annotations

from django.contrib.auth.models import Group, Permission, User

from tests.live.oracle.labels import ACTIVE, ALL, ANYBODY, SEER, Seen
from tests.live.oracle.models import Comment, Membership, Notice, Project, Task


def visible() -> Seen:
    """By the name of a user, the labels of all rows that he may see now."""
    notices = {f"N|{pk}|{text}" for pk, text in Notice.objects.values_list("pk", "text")}
    projects = {
        pk: (f"P|{pk}|{text}", owner, team, public)
        for pk, text, owner, team, public in Project.objects.values_list(
            "pk", "text", "owner", "team", "public"
        )
    }
    tasks = {
        pk: (f"T|{pk}|{text}", project, assignee)
        for pk, text, project, assignee in Task.objects.values_list(
            "pk", "text", "project", "assignee"
        )
    }
    comments = [
        (f"C|{pk}|{text}", task)
        for pk, text, task in Comment.objects.values_list("pk", "text", "task")
    ]
    members = set(Membership.objects.values_list("team", "user"))
    watchers = set(Project.watchers.through.objects.values_list("project", "user"))
    seers = _seers()
    rows = {row[0] for row in (*projects.values(), *tasks.values(), *comments)}
    seen = {ANYBODY: sorted(notices), ALL: sorted(rows | notices)}
    for user, name, active in User.objects.values_list("pk", "username", "is_active"):
        labels = set(notices)
        if active:
            labels |= {ACTIVE} | ({SEER} if user in seers else set())
            own = {
                pk
                for pk, (_, owner, team, public) in projects.items()
                if public
                or owner == user
                or (pk, user) in watchers
                or (team, user) in members
                or user in seers
            }
            labels |= {projects[pk][0] for pk in own}
            mine = {
                pk
                for pk, (_, project, assignee) in tasks.items()
                if project in own or assignee == user
            }
            labels |= {tasks[pk][0] for pk in mine}
            labels |= {label for label, task in comments if task in mine}
        seen[name] = sorted(labels)
    return seen


def _seers() -> set[int]:
    """Those who may see all, by themselves or by a group."""
    permission = Permission.objects.get(codename="see_all")
    groups = set(
        Group.permissions.through.objects.filter(permission=permission).values_list(
            "group_id", flat=True
        )
    )
    in_groups = User.groups.through.objects.values_list("user_id", "group_id")
    by_group = {user for user, group in in_groups if group in groups}
    by_self = User.user_permissions.through.objects.filter(permission=permission)
    return by_group | set(by_self.values_list("user_id", flat=True))
