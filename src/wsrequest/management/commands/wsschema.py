"""``manage.py wsschema``: what can be subscribed to, and what is heard then, as an AsyncAPI document or TypeScript."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from wsrequest.management.asyncapi.document import described
from wsrequest.management.asyncapi.openapi import yaml_module
from wsrequest.management.asyncapi.typescript import typescript


class Command(BaseCommand):
    """Reads the URLconf, what views declare by ``emits``, and the OpenAPI documents of the project."""

    help = "Write an AsyncAPI 3 document of subscriptions and events, or TypeScript types."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--format", choices=["json", "yaml"], default="json")
        parser.add_argument(
            "--typescript",
            action="store_true",
            help="write types for the browser client in place of the document",
        )
        parser.add_argument(
            "--file", metavar="PATH", help="write to this file, not to the terminal"
        )
        parser.add_argument(
            "--openapi",
            action="append",
            default=[],
            metavar="PATH",
            help="an OpenAPI document, beside those of drf-spectacular and django-ninja",
        )
        parser.add_argument(
            "--server",
            action="append",
            default=[],
            metavar="URL",
            help="as in wss://example.org (default: those of ALLOWED_HOSTS)",
        )
        parser.add_argument("--title", help="of the API (default: that of the OpenAPI document)")
        parser.add_argument("--api-version", metavar="VERSION", help="of the API, in the same way")
        parser.add_argument(
            "--all",
            action="store_true",
            help="also urls of which neither an OpenAPI document nor their view says anything",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        found = described(
            title=options["title"],
            version=options["api_version"],
            servers=options["server"],
            openapi=options["openapi"],
            every_url=options["all"],
        )
        if options["typescript"]:
            text = typescript(found.document["components"]["schemas"], found.channels)
        elif options["format"] == "yaml":
            text = yaml_module().safe_dump(found.document, sort_keys=False, allow_unicode=True)
        else:
            text = json.dumps(found.document, indent=2, ensure_ascii=False)
        if options["file"] is None:
            self.stdout.write(text)
            return
        try:
            Path(options["file"]).write_text(text.rstrip("\n") + "\n", encoding="utf-8")
        except OSError as error:
            raise CommandError(f"--file: {error}") from error
