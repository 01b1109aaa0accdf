"""The support table of the documentation says what this run has found."""

from __future__ import annotations

import pytest

from tests.transports.shared import table
from tests.transports.shared.conftest import RESULTS


@pytest.mark.after_carriers
def test_the_documentation_shows_these_results(pytestconfig: pytest.Config) -> None:
    """Results are those of this run; what was not run counts as shown. `make support-table` renews the table."""
    found = pytestconfig.stash[RESULTS]
    assert table.shown() == table.rendered(found)
    assert all(found.values())
