"""One demo server for all tests, as it was seeded before each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from tests.demo.server import DemoServer

if TYPE_CHECKING:
    from collections.abc import Iterator

SEEDED = 7
PATIENCE = 30  # seconds that an answer may take on a busy machine


@pytest.fixture(scope="session")
def running_demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoServer]:
    server = DemoServer(tmp_path_factory.mktemp("demo"))
    server.manage("migrate", "--verbosity", "0")
    assert f"made {SEEDED} snippets" in server.manage("seed")
    server.start()
    try:
        yield server
    finally:
        server.stop()
    # Whatever a test provoked, the server had an answer to it.
    assert "Traceback" not in server.log.read_text()


@pytest.fixture
def demo(running_demo: DemoServer) -> DemoServer:
    running_demo.forget_what_tests_wrote(SEEDED)
    return running_demo


@pytest.fixture(scope="session")
def login_cookies(running_demo: DemoServer) -> httpx.Cookies:
    """One login for all tests: checking a password is slow on purpose."""
    with httpx.Client(base_url=running_demo.url, timeout=PATIENCE) as client:
        assert log_in(client, "demo", "demo").status_code == 302
        return client.cookies


@pytest.fixture(scope="session")
def graces_cookies(running_demo: DemoServer) -> httpx.Cookies:
    """Those of the account for a second browser."""
    with httpx.Client(base_url=running_demo.url, timeout=PATIENCE) as client:
        assert log_in(client, "grace", "grace").status_code == 302
        return client.cookies


def log_in(client: httpx.Client, username: str, password: str, **more: str) -> httpx.Response:
    """Log in as the page's form does."""
    client.get("/")
    token = client.cookies["csrftoken"]
    form = {"username": username, "password": password, "csrfmiddlewaretoken": token, **more}
    return client.post("/accounts/login/", data=form)
