"""A broker and its listeners."""

from __future__ import annotations

from tests.push.postgres.fixtures import broker, listen

__all__ = ["broker", "listen"]
