"""Views of Django REST framework."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, Q, QuerySet, Sum
from rest_framework import generics, serializers
from rest_framework.pagination import PageNumberPagination
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from tests.live.oracle.models import Bug, Comment, Project, Tag, Task
from tests.live.oracle.seen import projects_of, tasks_of


class CommentSerializer(serializers.ModelSerializer[Comment]):
    by = serializers.CharField(source="author.username")

    class Meta:
        model = Comment
        fields = ["label", "by"]


class TaskSerializer(serializers.ModelSerializer[Task]):
    assignee = serializers.CharField(source="assignee.username", default=None)

    class Meta:
        model = Task
        fields = ["id", "label", "assignee", "done", "weight", "effort"]


class TaskWithComments(TaskSerializer):
    comments = CommentSerializer(many=True)
    tags = serializers.SlugRelatedField(slug_field="name", many=True, read_only=True)

    class Meta(TaskSerializer.Meta):
        fields = [*TaskSerializer.Meta.fields, "comments", "tags"]


class BugSerializer(TaskSerializer):
    class Meta(TaskSerializer.Meta):
        model = Bug
        fields = [*TaskSerializer.Meta.fields, "severity"]


class ProjectSerializer(serializers.ModelSerializer[Project]):
    owner = serializers.CharField(source="owner.username")
    team = serializers.CharField(source="team.name", default=None)
    tags = serializers.SlugRelatedField(slug_field="name", many=True, read_only=True)

    class Meta:
        model = Project
        fields = ["id", "label", "owner", "team", "public", "budget", "tags"]


class Pages(PageNumberPagination):
    page_size = 4


class Projects(generics.ListAPIView[Project]):
    """With everything joined or fetched beforehand."""

    serializer_class = ProjectSerializer

    def get_queryset(self) -> QuerySet[Project]:
        found = projects_of(self.request.user)
        return found.select_related("owner", "team").prefetch_related("tags")


class OneProject(generics.RetrieveAPIView[Project]):
    """404 to whom it does not concern."""

    serializer_class = ProjectSerializer

    def get_queryset(self) -> QuerySet[Project]:
        return projects_of(self.request.user)


class TasksOfProject(generics.ListAPIView[Task]):
    serializer_class = TaskWithComments

    def get_queryset(self) -> QuerySet[Task]:
        project = generics.get_object_or_404(
            projects_of(self.request.user), pk=self.kwargs["project"]
        )
        return (
            project.tasks.select_related("assignee")
            .prefetch_related("comments__author", "tags")
            .order_by("pk")
        )


class Tasks(generics.ListAPIView[Task]):
    """By the page, and filtered: only what is done, or only of a weight."""

    serializer_class = TaskSerializer
    pagination_class = Pages

    def get_queryset(self) -> QuerySet[Task]:
        found = tasks_of(self.request.user).select_related("assignee")
        wanted = self.request.GET
        if "done" in wanted:
            found = found.filter(done=wanted["done"] == "1")
        if "weight" in wanted:
            found = found.filter(weight__gte=int(wanted["weight"])).order_by("-weight", "pk")
        return found


class OneTask(generics.RetrieveAPIView[Task]):
    """Fetched by its key, before it is asked who may see it: 403 to whom it does not concern."""

    serializer_class = TaskWithComments
    queryset = Task.objects.all()

    def get_object(self) -> Task:
        task = super().get_object()
        if not tasks_of(self.request.user).filter(pk=task.pk).exists():
            self.permission_denied(self.request)
        return task


class Bugs(generics.ListAPIView[Bug]):
    serializer_class = BugSerializer

    def get_queryset(self) -> QuerySet[Bug]:
        seen = tasks_of(self.request.user).values("pk")
        found = Bug.objects.filter(pk__in=seen).select_related("assignee")
        return found.order_by("-severity", "pk")


class Counts(APIView):
    """Nothing but numbers, by names that a JSON Pointer has to escape."""

    def get(self, request: Request) -> Response:
        tasks = tasks_of(request.user)
        tags = Tag.objects.annotate(
            number=Count("projects", filter=Q(projects__public=True))
        ).order_by("pk")
        return Response(
            {
                "projects": projects_of(request.user).count(),
                "tasks": tasks.count(),
                "weight": tasks.aggregate(all=Sum("weight"))["all"],
                "by tag": {f"{each.pk}/{each.name}~": each.number for each in tags},
                "done": [
                    [done, number]
                    for done, number in tasks.order_by("done")
                    .values_list("done")
                    .annotate(number=Count("pk"))
                ],
            }
        )


class MaySeeAll(BasePermission):
    def has_permission(self, request: Request, view: Any) -> bool:
        return bool(request.user.has_perm("oracle.see_all"))


class Report(generics.ListAPIView[Task]):
    """403 without the permission, which a user has by himself or by a group."""

    permission_classes = [IsAuthenticated, MaySeeAll]
    serializer_class = TaskSerializer
    queryset = Task.objects.select_related("assignee").order_by("project", "pk")


class Concerning(generics.ListAPIView[Task]):
    """By two tables, either of which may have it."""

    serializer_class = TaskSerializer

    def get_queryset(self) -> QuerySet[Task]:
        user = self.request.user
        return Task.objects.filter(Q(assignee=user) | Q(project__owner=user)).order_by("pk")
