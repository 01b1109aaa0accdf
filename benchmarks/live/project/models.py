from __future__ import annotations

from django.db import models


class Author(models.Model):
    name = models.CharField(max_length=100)
    email = models.CharField(max_length=100)

    def __str__(self) -> str:
        return self.name


class Item(models.Model):
    """A row of the list that is watched. ``number`` says by which write it was left as it is."""

    title = models.CharField(max_length=100)
    text = models.TextField()
    author = models.ForeignKey(Author, on_delete=models.CASCADE)
    number = models.IntegerField(default=0)
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("pk",)

    def __str__(self) -> str:
        return self.title


class Entry(models.Model):
    """What is saved where a save is timed. Nobody watches it."""

    title = models.CharField(max_length=100)
    text = models.TextField()
    author = models.ForeignKey(Author, on_delete=models.CASCADE)
    number = models.IntegerField(default=0)

    def __str__(self) -> str:
        return self.title


class Other(models.Model):
    """A row of a list that those watch whom no write concerns."""

    title = models.CharField(max_length=100)

    class Meta:
        ordering = ("pk",)

    def __str__(self) -> str:
        return self.title
