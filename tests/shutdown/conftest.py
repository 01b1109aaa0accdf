"""Gates, and a server in a thread, for what can be seen in this process."""

from __future__ import annotations

from tests.support.database import database, tables
from tests.support.fixtures import gate, new_gate, server

__all__ = ["database", "gate", "new_gate", "server", "tables"]
