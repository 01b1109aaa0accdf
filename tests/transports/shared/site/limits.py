"""Limits of the project that the tests go past."""

from __future__ import annotations

MAX_CONNECTIONS_PER_USER = 2
MAX_MESSAGE_BYTES = 256 * 1024
MAX_SUBSCRIPTIONS = 4
