"""One model, with a key that the client chooses, so that two runs of a test make the same rows."""

from __future__ import annotations

from django.db import models


class Note(models.Model):
    slug = models.SlugField(primary_key=True)
    text = models.TextField(blank=True)

    class Meta:
        ordering = ["slug"]

    def __str__(self) -> str:
        return self.slug
