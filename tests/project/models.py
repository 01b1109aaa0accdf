"""Notes, with a key that the client chooses, so that two runs of a test make the same rows; and orders of users."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class Note(models.Model):
    slug = models.SlugField(primary_key=True)
    text = models.TextField(blank=True)

    class Meta:
        ordering = ["slug"]

    def __str__(self) -> str:
        return self.slug


class Order(models.Model):
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
    item = models.TextField()

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return self.item
