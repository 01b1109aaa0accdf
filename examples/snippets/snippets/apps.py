"""The app's configuration."""

from __future__ import annotations

from django.apps import AppConfig


class SnippetsConfig(AppConfig):
    """Code snippets."""

    name = "snippets"
