"""Where the suites run: their sdists, and an environment that has what they import."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import sysconfig
import tarfile
import venv
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
PROJECT = HERE.parent.parent
BUILD = PROJECT / "build" / "suites"


@dataclass(frozen=True)
class Environment:
    """The paths of what was set up."""

    python: Path
    django: Path
    drf: Path


def prepare() -> Environment:
    """Set up whatever is missing; what is there already is kept (remove ``build/`` for newer)."""
    BUILD.mkdir(parents=True, exist_ok=True)
    python = make_overlay()
    django_version = importlib.metadata.version("django")
    return Environment(
        python=python,
        django=unpack(fetch("django", django_version)),
        drf=unpack(fetch("djangorestframework", "")),
    )


def make_overlay() -> Path:
    """Make an environment on top of the running one, with what only the suites want.

    It sees everything of the running one, the package under test included, whether that is an
    editable install or a wheel.
    """
    folder = BUILD / f"venv-{sys.version_info.major}.{sys.version_info.minor}"
    python = folder / "bin" / "python"
    wanted = (HERE / "requirements.txt").read_text()
    stamp = folder / "installed.txt"
    below = sysconfig.get_path("purelib")
    if stamp.exists() and stamp.read_text() == wanted + below:
        return python
    say("setting up", folder.name)
    venv.create(folder, clear=True)  # pip is the running environment's
    site = next((folder / "lib").glob("python*/site-packages"))
    (site / "below.pth").write_text(f"import site; site.addsitedir({below!r})\n")
    pip(python, "install", "--requirement", str(HERE / "requirements.txt"))
    stamp.write_text(wanted + below)
    return python


def fetch(name: str, version: str) -> Path:
    """Fetch a package's sdist, unless some version (or that one) is there.

    By the running environment's pip: one in the overlay would show that environment to the build.
    """
    folder = BUILD / "sdists"
    pattern = f"{name}-{version or '*'}.tar.gz"
    if not (found := sorted(folder.glob(pattern))):
        say("fetching", f"{name} {version or '(latest)'}")
        wanted = f"{name}=={version}" if version else name
        pip(
            sys.executable,
            "download",
            "--no-deps",
            "--no-binary",
            name,
            "--dest",
            str(folder),
            wanted,
        )
        found = sorted(folder.glob(pattern))
    return found[-1]


def unpack(sdist: Path) -> Path:
    """Unpack an sdist beside the others, once."""
    folder = BUILD / sdist.name.removesuffix(".tar.gz")
    if not (folder / "PKG-INFO").exists():
        with tarfile.open(sdist) as archive:
            archive.extractall(BUILD, filter="data")
    return folder


def pip(python: str | Path, *arguments: str) -> None:
    """Run pip quietly; what it says is shown when it fails."""
    command = [python, "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input"]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"pip {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")


def say(what: str, *more: object) -> None:
    """Print a line of progress at once."""
    print(f"{what:>12}", *more, flush=True)
