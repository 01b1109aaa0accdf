"""Tables of every kind that the tracking tells apart."""

from __future__ import annotations

import uuid

from django.db import models


class InShop(models.Model):
    """Test modules import this before the app is installed."""

    class Meta:
        abstract = True
        app_label = "shop"


class Author(InShop):
    name = models.TextField()
    seen = models.IntegerField(default=0)

    def __str__(self) -> str:
        return self.name


class Tag(InShop):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    name = models.TextField()

    def __str__(self) -> str:
        return self.name


class Book(InShop):
    title = models.TextField()
    author = models.ForeignKey(Author, models.CASCADE, related_name="books")
    editor = models.ForeignKey(Author, models.SET_NULL, null=True, related_name="edited")
    tags = models.ManyToManyField(Tag)
    price = models.IntegerField(default=0)

    def __str__(self) -> str:
        return self.title


class Novel(Book):
    genre = models.TextField()


class Shelf(InShop):
    code = models.CharField(max_length=20, primary_key=True)
    label = models.TextField(default="")

    def __str__(self) -> str:
        return self.code


class Place(InShop):
    pk = models.CompositePrimaryKey("row", "column")
    row = models.IntegerField()
    column = models.IntegerField()
    label = models.TextField(default="")

    def __str__(self) -> str:
        return self.label


class Odd(InShop):
    label = models.TextField(default="")

    class Meta(InShop.Meta):
        abstract = False
        db_table = "Odd name-d"

    def __str__(self) -> str:
        return self.label
