"""Make tables, rows, users and their sessions: ``python -m benchmarks.live.project.prepare USERS``.

Prints the sessions' keys, one a line.
"""

from __future__ import annotations

import sys

import django
from django.core.management import call_command

#: A row for each of those who watch one of their own; lists show the first twenty.
ITEMS, AUTHORS = 100, 20


def main() -> None:
    django.setup()
    from benchmarks.live.project.models import Author, Entry, Item, Other

    call_command("migrate", run_syncdb=True, verbosity=0)
    for model in (Entry, Item, Other, Author):
        model._default_manager.all().delete()
    Author.objects.bulk_create(
        Author(pk=number, name=f"Author {number}", email=f"author{number}@example.com")
        for number in range(1, AUTHORS + 1)
    )
    users = int(sys.argv[1])
    Item.objects.bulk_create(
        Item(
            pk=number,
            title=f"Item {number}",
            text=f"What there is to say of item {number}.\n",
            author_id=1 + number % AUTHORS,
        )
        for number in range(1, ITEMS + 1)
    )
    Other.objects.bulk_create(Other(title=f"Other {number}") for number in range(AUTHORS))
    for number in range(users):
        print(session_of(f"user{number}"))


def session_of(name: str) -> str:
    """Log a user in."""
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.auth.models import User
    from django.contrib.sessions.backends.db import SessionStore

    user, _ = User.objects.get_or_create(username=name)
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    return str(session.session_key)


if __name__ == "__main__":
    main()
