"""Make the tables and the twenty rows: ``python -m benchmarks.project.prepare``."""

from __future__ import annotations

import django
from django.core.management import call_command

ROWS = 20


def main() -> None:
    django.setup()
    from benchmarks.project.models import Snippet

    call_command("migrate", run_syncdb=True, verbosity=0)
    Snippet.objects.all().delete()
    Snippet.objects.bulk_create(
        Snippet(
            pk=number,
            title=f"Snippet {number}",
            code=f"def number():\n    return {number}\n",
            language="python",
        )
        for number in range(1, ROWS + 1)
    )


if __name__ == "__main__":
    main()
