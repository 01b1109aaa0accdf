"""Processes on a core of their own: started, awaited, weighed, and ended by their ids."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

NICENESS = -10
ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Cores:
    """Which core serves and which one generates the load; the same one where there is only one."""

    server: int
    generator: int

    @classmethod
    def choose(cls) -> Cores:
        available = sorted(os.sched_getaffinity(0))
        return cls(server=available[0], generator=available[-1])

    @property
    def apart(self) -> bool:
        return self.server != self.generator


def raise_priority(pid: int) -> bool:
    """Put a process and all that it starts before the machine's other work, if that is allowed.

    On a machine that is shared, a server with many threads would otherwise get more of its core
    than one with a single thread. Where Linux groups processes by session, niceness counts within
    a session only, and the session has one of its own (see ``sched(7)``).
    """
    try:
        os.setpriority(os.PRIO_PROCESS, pid, NICENESS)
        group = Path(f"/proc/{pid}/autogroup")
        if group.exists() and os.getsid(pid) == pid:
            group.write_text(str(NICENESS))
    except PermissionError:
        return False
    return True


def allow_files(wanted: int) -> None:
    """Let this process, and what it starts, hold so many files open, or as many as may be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def in_own_session(function: Callable[[], int]) -> int:
    """Call the function in a child process with a session of its own, and return what it returns.

    So this program can have a priority of its own too; what interrupts it is passed on.
    """
    child = os.fork()
    if child == 0:
        os.setsid()
        sys.exit(function())
    while True:
        try:
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        except KeyboardInterrupt:
            os.kill(child, signal.SIGINT)


def environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Return what every process of the benchmark sees: the same settings, plus ``extra``."""
    path = os.pathsep.join(part for part in (str(ROOT), os.environ.get("PYTHONPATH")) if part)
    return os.environ | {
        "DJANGO_SETTINGS_MODULE": "benchmarks.project.settings",
        "PYTHONPATH": path,
        "PYTHONUNBUFFERED": "1",
        **extra,
    }


def start(
    command: Sequence[str],
    *,
    core: int,
    env: Mapping[str, str],
    log: Path,
    piped: bool = False,
) -> subprocess.Popen[str]:
    """Start ``python command...`` pinned to ``core``; what it says on stderr goes to ``log``.

    The core is inherited: it is set here for the moment of the fork, so that each thread of
    the child has it from the start.
    """
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        with log.open("a") as output:
            process = subprocess.Popen(
                [sys.executable, *command],
                cwd=ROOT,
                env=environment(env),
                stdin=subprocess.PIPE if piped else subprocess.DEVNULL,
                stdout=subprocess.PIPE if piped else output,
                stderr=output,
                text=True,
                start_new_session=True,
            )
            raise_priority(process.pid)
            return process
    finally:
        os.sched_setaffinity(0, before)


def run_to_end(command: Sequence[str], *, env: Mapping[str, str]) -> None:
    """Run ``python command...`` and wait for it; what it says is the error if it fails."""
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=environment(env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")


def stop(process: subprocess.Popen[str], *, patience: float = 10.0) -> None:
    """End ``process``, politely first, and wait until it is gone."""
    members = family(process.pid)
    process.terminate()
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        for pid in members:
            if _alive(pid):
                os.kill(pid, 9)
        process.wait()


def cpu_seconds(pids: Sequence[int]) -> float:
    """Return the CPU time, user and system, that these processes have used.

    It is read from each process's CPU clock (as ``clock_getcpuclockid`` gives it), which counts
    all threads, also those that have ended, in nanoseconds. ``/proc/<pid>/stat`` shows the same
    count in steps of 10 ms.
    """
    return sum(time.clock_gettime((~pid << 3) | 2) for pid in pids)


def family(pid: int) -> list[int]:
    """Return ``pid`` and every process below it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The command's name, in parentheses, may hold anything; the parent comes after it.
            parent = int(entry.read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
        children.setdefault(parent, []).append(int(entry.parent.name))
    found = [pid]
    for member in found:
        found.extend(children.get(member, ()))
    return found


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
