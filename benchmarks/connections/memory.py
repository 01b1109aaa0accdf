"""The memory of another process, as Linux counts it."""

from __future__ import annotations

from pathlib import Path

KIB = 1024
MIB = 1024 * 1024


def resident(pid: int) -> int:
    """Return the bytes that the process has in memory."""
    return _field(Path(f"/proc/{pid}/smaps_rollup"), "Rss")


def peak(pid: int) -> int:
    """Return the most bytes that it had in memory since :func:`forget_peak`."""
    return _field(Path(f"/proc/{pid}/status"), "VmHWM")


def forget_peak(pid: int) -> None:
    """See ``clear_refs`` in ``proc(5)``."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def _field(path: Path, name: str) -> int:
    for line in path.read_text().splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return int(value.split()[0]) * KIB
    raise KeyError(name)
