"""The one model."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from snippets.highlighting import LANGUAGES


class Snippet(models.Model):
    """A piece of code that somebody wants to keep."""

    title = models.CharField(max_length=100)
    code = models.TextField(max_length=10_000)
    language = models.CharField(max_length=32, choices=list(LANGUAGES.items()), default="python")
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="snippets",
    )
    created = models.DateTimeField(auto_now_add=True)
    updated = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["-updated", "-pk"]

    def __str__(self) -> str:
        return self.title
