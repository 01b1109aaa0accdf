"""What holds for every test: one profile for hypothesis, no blocking call on an event loop, short stacks in asyncio."""

from __future__ import annotations

import asyncio
import linecache
import traceback
from collections.abc import AsyncIterator, Generator, Iterator
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from blockbuster import BlockBuster
from hypothesis import HealthCheck, settings

from tests.support.chromium import launched
from tests.support.measuring import unmeasured

if TYPE_CHECKING:
    from playwright.async_api import Browser

# A failing example is printed with what reproduces it. How long one takes says more about the
# machine than about the code.
settings.register_profile(
    "default",
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
# For one of several runs, where another has the full number.
settings.register_profile("brief", settings.get_profile("default"), max_examples=20)
settings.load_profile("default")

STACK_DEPTH = 3  # frames


# What Django does on the loop by itself, here as under its own ASGI handler.
DJANGO_MAY_BLOCK = {
    "coverage/collector.py": {"lock_data"},  # and what the measuring of coverage does
    "django/core/handlers/asgi.py": {"read_body"},
    "django/http/request.py": {"_load_post_and_files", "body"},
    "django/http/response.py": {"set_headers"},
    "django/template/loaders/filesystem.py": {"get_contents"},
    "django/template/utils.py": {"get_app_template_dirs"},
    "django/utils/timezone.py": {"get_default_timezone"},
    "django/utils/translation/trans_real.py": {"translation"},
    # It is around each query of a project, also of one that insists on asking from a loop.
    "wsrequest/livequery/tracking.py": {"_track"},
}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """What random examples happen to reach does not count: the limits of coverage are held without them."""
    if item.get_closest_marker("hypothesis") is None:
        return (yield)
    with unmeasured():
        return (yield)


@pytest.fixture(autouse=True, scope="session")
def no_blocking_call_on_the_loop() -> Iterator[None]:
    """Raise BlockingError where the package, on a running loop, sleeps, waits for a lock or does I/O."""
    detector = BlockBuster(scanned_modules=["wsrequest"])
    for function in detector.functions.values():
        for file, names in DJANGO_MAY_BLOCK.items():
            function.can_block_in(file, names)
    detector.activate()
    yield
    detector.deactivate()


@pytest.fixture(autouse=True, scope="session")
def short_stacks_in_asyncio() -> Iterator[None]:
    """Keep asyncio's debug mode from taking half of the run.

    There each future notes the whole stack that made it, and looks whether one of the files on it has changed. Here
    no file changes, and a future notes as much as a callback does.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio.constants, "DEBUG_STACK_DEPTH", STACK_DEPTH)
        patch.setattr(traceback.extract_stack, "__defaults__", (None, STACK_DEPTH))
        patch.setattr(linecache, "checkcache", lambda filename=None: None)
        yield


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """For tests on the loop of the session: ``pytest.mark.asyncio(loop_scope="session")``."""
    async with launched() as browser:
        yield browser
