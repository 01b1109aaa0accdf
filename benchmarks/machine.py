"""What the figures depend on: the machine, and the versions."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

PACKAGES = ("Django", "djangorestframework", "uvicorn", "uvloop", "httptools", "websockets",
            "granian", "msgspec", "asgiref")  # fmt: skip


def describe(others: Iterable[str] = ()) -> list[str]:
    """Return one line on the machine and one on the versions, those of further packages too."""
    versions = [f"Python {platform.python_version()}"]
    versions += [f"{name} {metadata.version(name)}" for name in (*PACKAGES, *others)]
    return [
        f"{_cpu_model()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}",
        ", ".join(versions),
    ]


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return platform.processor() or "unknown processor"
