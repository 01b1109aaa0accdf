from __future__ import annotations

from tests.lifecycle.fixtures import catalogues, make_runner, runner, stage, urls

__all__ = ["catalogues", "make_runner", "runner", "stage", "urls"]
