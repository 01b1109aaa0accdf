#!/usr/bin/env python
"""Django's command line for the demo: `migrate`, `seed`, `shell` and the rest."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command that stands in `sys.argv`."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "demo.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
