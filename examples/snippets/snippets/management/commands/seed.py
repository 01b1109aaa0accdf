"""`manage.py seed`: the demo accounts, and a few snippets to look at."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand
from django.db import transaction
from django.utils import timezone

from snippets.models import Snippet
from snippets.samples import SAMPLES


class Command(BaseCommand):
    """Make the users `demo` and `grace`, and fill an empty table of snippets. Safe to run again."""

    help = "Make the users demo/demo and grace/grace, and put sample snippets into an empty table."

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        """Do both, and say what was there already."""
        owners = {"demo": self.make_user("demo", "demo"), "ada": self.make_user("ada", None)}
        self.make_user("grace", "grace")  # for a second browser
        if Snippet.objects.exists():
            self.stdout.write("The demo account is demo/demo; snippets are there already.")
            return
        now = timezone.now()
        for sample in SAMPLES:
            snippet = Snippet.objects.create(
                title=sample.title,
                language=sample.language,
                code=sample.code,
                owner=owners[sample.owner],
            )
            when = now - timedelta(minutes=sample.minutes_ago)
            Snippet.objects.filter(pk=snippet.pk).update(created=when, updated=when)
        self.stdout.write(f"The demo account is demo/demo; made {len(SAMPLES)} snippets.")

    def make_user(self, name: str, password: str | None) -> Any:
        """Return the user of that name, with that password (None: nobody can log in as them)."""
        user, _created = get_user_model().objects.get_or_create(username=name)
        if password is None:
            user.set_unusable_password()
        elif not user.check_password(password):
            user.set_password(password)
        user.save()
        return user
