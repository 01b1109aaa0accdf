"""Projects of people and teams: foreign keys of each kind, many-to-many relations with and without a model of their
own, keys that are UUIDs, and inheritance over two tables.

``label`` is how a row is shown wherever it is shown: who it is, and what its text is at present. So whatever a client
holds says which rows it has seen.
"""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models

USER = settings.AUTH_USER_MODEL


class Labelled(models.Model):
    kind = ""
    text = models.CharField(max_length=40)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.label

    @property
    def label(self) -> str:
        return f"{self.kind}|{self.pk}|{self.text}"


class Team(models.Model):
    name = models.CharField(max_length=40)
    members = models.ManyToManyField(USER, through="Membership", related_name="teams")

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    team = models.ForeignKey(Team, models.CASCADE)
    user = models.ForeignKey(USER, models.CASCADE)
    role = models.CharField(max_length=10, default="guest")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["team", "user"], name="one_membership")]

    def __str__(self) -> str:
        return f"{self.user_id} in {self.team_id}"


class Tag(models.Model):
    name = models.CharField(max_length=40)

    def __str__(self) -> str:
        return self.name


class Project(Labelled):
    kind = "P"
    owner = models.ForeignKey(USER, models.CASCADE, related_name="projects")
    team = models.ForeignKey(Team, models.SET_NULL, null=True, related_name="projects")
    public = models.BooleanField(default=False)
    budget = models.DecimalField(max_digits=8, decimal_places=2, default=0)
    tags = models.ManyToManyField(Tag, related_name="projects")
    watchers = models.ManyToManyField(USER, related_name="watched")

    class Meta:
        permissions = [("see_all", "May see all projects")]


class Task(Labelled):
    kind = "T"
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    project = models.ForeignKey(Project, models.CASCADE, related_name="tasks")
    assignee = models.ForeignKey(USER, models.SET_NULL, null=True, related_name="tasks")
    done = models.BooleanField(default=False)
    weight = models.IntegerField(default=1)
    effort = models.FloatField(null=True)
    tags = models.ManyToManyField(Tag, related_name="tasks")


class Bug(Task):
    """In a table of its own, beside that of its task."""

    severity = models.IntegerField(default=1)


class Comment(Labelled):
    kind = "C"
    task = models.ForeignKey(Task, models.CASCADE, related_name="comments")
    author = models.ForeignKey(USER, models.CASCADE, related_name="comments")


class Notice(Labelled):
    """For everybody."""

    kind = "N"
    about = models.ForeignKey(Project, models.SET_NULL, null=True)
