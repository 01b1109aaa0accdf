"""A database for each module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.database import database, tables
from tests.support.measuring import unmeasured

__all__ = ["database", "tables"]


@pytest.fixture(autouse=True, scope="module")
def not_measured() -> Iterator[None]:
    """What these tests reach, others reach as well: here two ways are compared."""
    with unmeasured():
        yield
