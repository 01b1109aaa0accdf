"""Views of Django's own kinds."""

from __future__ import annotations

from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.auth import login, logout
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.translation import get_language, gettext
from django.views.decorators.csrf import csrf_exempt

from tests.live.oracle.models import Membership, Notice, Project, Task
from tests.live.oracle.seen import projects_of, tasks_of


async def aprojects(request: HttpRequest) -> JsonResponse:
    user: Any = await request.auser()
    if not user.is_authenticated:
        return JsonResponse({"detail": "who?"}, status=401)
    projects = await sync_to_async(projects_of)(user)
    found = [each.label async for each in projects]
    return JsonResponse({"user": user.username, "projects": found})


def notices(request: HttpRequest) -> JsonResponse:
    """For everybody alike: nobody is asked who he is."""
    found = Notice.objects.select_related("about").order_by("pk")
    public = [each.label if each.about is None else [each.label, each.about_id] for each in found]
    return JsonResponse(public, safe=False)


def last_notice(request: HttpRequest) -> JsonResponse:
    """Something else than an object or an array, mostly."""
    last = Notice.objects.order_by("-pk").first()
    return JsonResponse(last and last.label, safe=False)


@login_required
def board(request: HttpRequest) -> HttpResponse:
    tasks = tasks_of(request.user).select_related("project", "assignee")
    return render(request, "oracle/board.html", {"tasks": tasks})


def greeting(request: HttpRequest) -> JsonResponse:
    return JsonResponse(
        {"yes": gettext("Yes"), "in": get_language(), "notices": Notice.objects.count()}
    )


def any_open(request: HttpRequest, project: int) -> JsonResponse:
    """A yes or no, for everybody alike."""
    tasks = Task.objects.filter(project=project)
    return JsonResponse({"any": tasks.exists(), "open": tasks.filter(done=False).exists()})


@login_required
def pinned(request: HttpRequest, project: int) -> JsonResponse:
    """A row by its key alone, which need not be there, and a look at who may see it."""
    try:
        found = Project.objects.get(pk=project)
    except Project.DoesNotExist:
        return JsonResponse(None, safe=False)
    user: Any = request.user
    member = Membership.objects.filter(team_id=found.team_id, user=user).exists()
    if found.public or found.owner_id == user.pk or member:
        return JsonResponse({"found": found.label, "tags": found.tags.count()})
    return JsonResponse({"found": False})


def me(request: HttpRequest) -> JsonResponse:
    user: Any = request.user
    if not user.is_authenticated:
        return JsonResponse({"name": None})
    groups = user.groups.order_by("name").values_list("name", flat=True)
    teams = {each.team.name: each.role for each in user.membership_set.select_related("team")}
    may = sorted(user.get_all_permissions())
    return JsonResponse({"name": user.username, "groups": list(groups), "teams": teams, "may": may})


def raw_figures(request: HttpRequest) -> JsonResponse:
    """Without the ORM."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT p.id, COUNT(t.id), COALESCE(SUM(t.weight), 0) FROM oracle_project AS p"
            ' LEFT JOIN "oracle_task" t ON t.project_id = p.id'
            " WHERE p.public = %s GROUP BY p.id ORDER BY p.id",
            [True],
        )
        figures = {str(pk): [int(tasks), int(weight)] for pk, tasks, weight in cursor.fetchall()}
    return JsonResponse(figures)


@csrf_exempt
def enter(request: HttpRequest, name: str) -> HttpResponse:
    user = User.objects.filter(username=name, is_active=True).first()
    if user is None:
        return HttpResponse(status=403)
    login(request, user, backend="django.contrib.auth.backends.ModelBackend")
    return HttpResponse(status=204)


@csrf_exempt
def leave(request: HttpRequest) -> HttpResponse:
    logout(request)
    return HttpResponse(status=204)
