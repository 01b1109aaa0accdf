"""Who may see which rows, worked out row by row in Python: what no query of a view has a part in."""

from __future__ import annotations

from django.contrib.auth.models import Group, Permission, User

from tests.live.oracle.labels import ACTIVE, ALL, ANYBODY, SEER, Seen
from tests.live.oracle.models import Comment, Membership, Notice, Project, Task

def visible() -> Seen:
    """By the name of a user, the labels of all rows that he may see now."""
    notices = {each.label for each in Notice.objects.all()}
    projects = list(Project.objects.all())
    tasks = list(Task.objects.all())
    comments = list(Comment.objects.all())
    members = set(Membership.objects.values_list("team_id", "user_id"))
    watchers = set(Project.watchers.through.objects.values_list("project_id", "user_id"))
    seers = _seers()
    rows = {each.label for each in (*projects, *tasks, *comments)}
    seen = {ANYBODY: sorted(notices), ALL: sorted(rows | notices)}
    for pk, name, active in User.objects.values_list("pk", "username", "is_active"):
        if not active:
            seen[name] = sorted(notices)
            continue
        own = {
            each.pk
            for each in projects
            if each.public
            or each.owner_id == pk
            or (each.pk, pk) in watchers
            or (each.team_id, pk) in members
            or pk in seers
        }
        labels = notices | {ACTIVE} | ({SEER} if pk in seers else set())
        labels |= {each.label for each in projects if each.pk in own}
        mine = {each.pk for each in tasks if each.project_id in own or each.assignee_id == pk}
        labels |= {each.label for each in tasks if each.pk in mine}
        labels |= {each.label for each in comments if each.task_id in mine}
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
