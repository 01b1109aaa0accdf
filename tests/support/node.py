"""What npm's packages do in tests: js/ has them, and scripts/node.sh sees to it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.server import ROOT

JS = ROOT / "js"
TIMEOUT = 170  # seconds, of which the first one may need many to install the packages


def node(*command: str | Path, **environment: str) -> str:
    """Run a program in js/, by Node.js; say what it has said."""
    done = subprocess.run(
        [ROOT / "scripts/node.sh", "node", *command],
        env={**os.environ, "PYTHON": sys.executable, "NO_COLOR": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def vitest(folder: str, **environment: str) -> str:
    """Run the tests of a folder in js/."""
    return node("node_modules/vitest/vitest.mjs", "run", "--dir", folder, **environment)
