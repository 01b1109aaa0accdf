"""What holds for every test: one profile for hypothesis, and no blocking call on an event loop."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from blockbuster import BlockBuster
from hypothesis import HealthCheck, settings

# A failing example is printed with what reproduces it. How long one takes says more about the
# machine than about the code.
settings.register_profile(
    "default",
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.register_profile("ci", settings.get_profile("default"), max_examples=200)
settings.load_profile("ci" if os.environ.get("CI") else "default")


@pytest.fixture(autouse=True, scope="session")
def no_blocking_call_on_the_loop() -> Iterator[None]:
    """Raise BlockingError where the package, on a running loop, sleeps, locks or does I/O.

    Reading a template or a message catalogue the first time is Django's, and its own async views
    do it on the loop too.
    """
    detector = BlockBuster(scanned_modules=["wsrequest"])
    for name in ("io.BufferedReader.read", "io.TextIOWrapper.read", "os.stat", "os.listdir"):
        if function := detector.functions.get(name):
            function.can_block_in("django/template/loaders/filesystem.py", "get_contents")
            function.can_block_in("django/template/utils.py", "get_app_template_dirs")
            function.can_block_in("django/utils/translation/trans_real.py", "translation")
    detector.activate()
    yield
    detector.deactivate()
