from __future__ import annotations

from tests.lifecycle.fixtures import make_runner, runner, stage, urls

__all__ = ["make_runner", "runner", "stage", "urls"]
