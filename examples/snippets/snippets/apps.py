"""The app's configuration."""

from __future__ import annotations

from django.apps import AppConfig


class SnippetsConfig(AppConfig):
    """Code snippets."""

    name = "snippets"

    def ready(self) -> None:
        """Connect the signals by which subscribers are told."""
        import snippets.news  # noqa: F401 (models can't be imported any sooner)
