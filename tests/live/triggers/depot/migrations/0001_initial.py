"""The tables."""

from __future__ import annotations

import uuid

import django.db.models.deletion
from django.db import migrations, models

# As another program may have made it: of any precision.
NUMERIC = "ALTER TABLE depot_crate ALTER weight TYPE numeric"

CASCADE = """
ALTER TABLE depot_parcel ADD CONSTRAINT of_crate FOREIGN KEY (crate_id) REFERENCES depot_crate ON DELETE CASCADE
"""


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        migrations.RunSQL('CREATE SCHEMA "the archive"', 'DROP SCHEMA "the archive"'),
        migrations.CreateModel(
            "Tag",
            [
                ("id", models.UUIDField(default=uuid.uuid4, primary_key=True, serialize=False)),
                ("name", models.TextField()),
            ],
        ),
        migrations.CreateModel(
            "Crate",
            [
                ("id", models.AutoField(primary_key=True, serialize=False)),
                ("label", models.TextField()),
                (
                    "weight",
                    models.DecimalField(max_digits=9, decimal_places=2, default=0),
                ),
                ("seen", models.IntegerField(default=0, db_column="lastSeen")),
                ("tags", models.ManyToManyField("depot.Tag")),
            ],
        ),
        migrations.RunSQL(NUMERIC, "SELECT"),
        migrations.CreateModel(
            "Parcel",
            [
                (
                    "code",
                    models.CharField(max_length=400, primary_key=True, serialize=False),
                ),
                (
                    "crate",
                    models.ForeignKey(
                        "depot.Crate",
                        django.db.models.deletion.DO_NOTHING,
                        related_name="parcels",
                        db_constraint=False,
                    ),
                ),
            ],
        ),
        migrations.RunSQL(CASCADE, "ALTER TABLE depot_parcel DROP CONSTRAINT of_crate"),
        migrations.CreateModel(
            "Slot",
            [
                (
                    "pk",
                    models.CompositePrimaryKey("row", "column", blank=True, serialize=False),
                ),
                ("row", models.IntegerField()),
                ("column", models.IntegerField()),
            ],
        ),
        migrations.CreateModel(
            "Odd",
            [
                ("id", models.AutoField(primary_key=True, serialize=False)),
                ("label", models.TextField()),
            ],
            options={"db_table": 'the archive"."Odd name-d'},
        ),
        migrations.CreateModel(
            "Awkward",
            [
                ("keys", models.AutoField(primary_key=True, serialize=False)),
                ("ignored", models.IntegerField(default=0)),
                ("one", models.IntegerField(default=0)),
            ],
            options={"db_table": "written"},
        ),
        migrations.CreateModel(
            "Quiet",
            [
                ("id", models.AutoField(primary_key=True, serialize=False)),
                ("label", models.TextField()),
            ],
        ),
    ]
