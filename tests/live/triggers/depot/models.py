"""Keys of all kinds, names that have to be quoted, another schema, and a cascade that the database does by itself."""

from __future__ import annotations

import uuid

from django.db import models


class InDepot(models.Model):
    """Test modules import this before the app is installed."""

    class Meta:
        abstract = True
        app_label = "depot"


class Tag(InDepot):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    name = models.TextField()

    def __str__(self) -> str:
        return self.name


class Crate(InDepot):
    label = models.TextField()
    weight = models.DecimalField(max_digits=9, decimal_places=2, default=0)
    seen = models.IntegerField(default=0, db_column="lastSeen")
    tags = models.ManyToManyField(Tag)

    def __str__(self) -> str:
        return self.label


class Parcel(InDepot):
    code = models.CharField(max_length=400, primary_key=True)
    crate = models.ForeignKey(Crate, models.DO_NOTHING, related_name="parcels")

    def __str__(self) -> str:
        return self.code


class Slot(InDepot):
    pk = models.CompositePrimaryKey("row", "column")
    row = models.IntegerField()
    column = models.IntegerField()

    def __str__(self) -> str:
        return f"{self.row}/{self.column}"


class Odd(InDepot):
    label = models.TextField()

    class Meta(InDepot.Meta):
        abstract = False
        db_table = 'the archive"."Odd name-d'

    def __str__(self) -> str:
        return self.label


class Awkward(InDepot):
    """Has columns that are called as things are in the triggers' function."""

    keys = models.AutoField(primary_key=True)
    ignored = models.IntegerField(default=0)
    one = models.IntegerField(default=0)

    class Meta(InDepot.Meta):
        abstract = False
        db_table = "written"

    def __str__(self) -> str:
        return str(self.one)


class Quiet(InDepot):
    """Has no triggers."""

    label = models.TextField()

    def __str__(self) -> str:
        return self.label
