from __future__ import annotations

from django.db import models


class Idea(models.Model):
    text = models.CharField(max_length=80)
    stars = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["-stars", "-pk"]

    def __str__(self) -> str:
        return self.text
