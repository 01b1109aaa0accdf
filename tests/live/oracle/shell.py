"""A process that serves nothing, as a shell or a task queue's worker: it writes, and it knows what a GET answers.

A GET of its own is one of Django's test client: no WebSocket, and nothing of the package, has a part in it. Talks in
lines of JSON, over its standard input and output.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import django

django.setup()

from django.contrib.auth import (  # noqa: E402
    BACKEND_SESSION_KEY,
    HASH_SESSION_KEY,
    SESSION_KEY,
)
from django.contrib.auth.models import Group, Permission, User  # noqa: E402
from django.contrib.sessions.backends.db import SessionStore  # noqa: E402
from django.db import connection  # noqa: E402
from django.test import Client  # noqa: E402

from tests.live.oracle.models import Membership, Notice, Project, Tag, Task, Team  # noqa: E402
from tests.live.oracle.plan import PEOPLE  # noqa: E402
from tests.live.oracle.visibility import visible  # noqa: E402
from tests.live.oracle.writing import Step, present  # noqa: E402


class Shell:
    def __init__(self) -> None:
        self._clients: dict[str, tuple[str, Client]] = {}

    def reset(self) -> dict[str, Any]:
        """The world as it is in the beginning: the same keys, too."""
        for model in (User, Team, Tag, Notice, Group):
            model.objects.all().delete()
        if connection.vendor == "sqlite":
            with connection.cursor() as cursor:
                cursor.execute("DELETE FROM sqlite_sequence")
        else:
            self._restart_sequences()
        ann, *others = (User.objects.create(username=name, password=name) for name in PEOPLE)
        team = Team.objects.create(name="first")
        Membership.objects.create(team=team, user=others[0])
        first, second = (Tag.objects.create(name=f"tag{number}") for number in range(2))
        own = Project.objects.create(text="s0own", owner=ann, team=team)
        own.tags.add(first, second)
        Project.objects.create(text="s0open", owner=others[1], public=True)
        for number in range(3):
            Task.objects.create(text=f"s0task{number}", project=own, assignee=others[number])
        Notice.objects.create(text="s0notice")
        group = Group.objects.create(name="group0")
        group.permissions.add(Permission.objects.get(codename="see_all"))
        others[2].groups.add(group)
        self._clients.clear()
        return {"seen": [visible()], **present()}

    def write(self, said: Any) -> dict[str, Any]:
        return Step(said).run()

    def session(self, name: str) -> str:
        """The key of a new session of this user."""
        user = User.objects.get(username=name)
        store = SessionStore()
        store[SESSION_KEY] = str(user.pk)
        store[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
        store[HASH_SESSION_KEY] = user.get_session_auth_hash()
        store.create()
        assert store.session_key is not None
        return store.session_key

    def get(self, asks: list[dict[str, str]]) -> list[Any]:
        """What these GETs answer: status, and the body."""
        passwords = dict(User.objects.values_list("username", "password"))
        answers = []
        for ask in asks:
            client = self._client(ask["user"], passwords.get(ask["user"], ""))
            response = client.get(ask["url"], headers=ask["headers"])
            is_json = response.headers["content-type"] == "application/json"
            text = response.content.decode()
            answers.append([response.status_code, json.loads(text) if is_json else text])
        return answers

    def _client(self, name: str, password: str) -> Client:
        """Logged in again where another password has ended the session."""
        known = self._clients.get(name)
        if known is None or known[0] != password:
            client = Client()
            if name:
                client.cookies["sessionid"] = self.session(name)
            known = self._clients[name] = password, client
        return known[1]

    def _restart_sequences(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT sequencename FROM pg_sequences WHERE schemaname = 'public'")
            for (name,) in cursor.fetchall():
                if name.startswith(("oracle_", "auth_user")):
                    cursor.execute(f'ALTER SEQUENCE "{name}" RESTART')


def main() -> None:
    shell = Shell()
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        print(json.dumps(getattr(shell, name)(*arguments)), flush=True)


if __name__ == "__main__":
    main()
