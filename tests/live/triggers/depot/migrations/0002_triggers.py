"""The triggers."""

from __future__ import annotations

from django.db import migrations

from wsrequest.contrib.postgres.operations import LiveTriggers


class Migration(migrations.Migration):
    dependencies = [("depot", "0001_initial")]
    operations = [LiveTriggers(["Crate", "depot.Tag", "Parcel", "Slot", "Odd", "Awkward"])]
