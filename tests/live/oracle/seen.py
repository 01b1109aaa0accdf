"""What views let a user see, as queries."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet

from tests.live.oracle.models import Project, Task


def projects_of(user: Any) -> QuerySet[Project]:
    if user.has_perm("oracle.see_all"):
        return Project.objects.order_by("pk")
    return Project.objects.filter(_may(user, "")).distinct().order_by("pk")


def tasks_of(user: Any) -> QuerySet[Task]:
    tasks = Task.objects.order_by("pk")
    if user.has_perm("oracle.see_all"):
        return tasks
    # The relations to many are asked for in a query within the query.
    return tasks.filter(Q(project__in=projects_of(user).order_by()) | Q(assignee=user))


def _may(user: Any, to: str) -> Q:
    ways = ({"public": True}, {"owner": user}, {"watchers": user}, {"team__members": user})
    found = Q()
    for way in ways:
        found |= Q(**{f"{to}{name}": value for name, value in way.items()})
    return found
