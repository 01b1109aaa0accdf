"""A chain in which synchronous and asynchronous middleware alternate, with languages, gzip and conditional GET."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.test import override_settings

from tests.project.settings import MIDDLEWARE
from tests.same.cases import (
    API,
    BODIES,
    CONDITIONAL,
    ERRORS,
    LANGUAGES,
    PLAIN,
    STATE,
    STREAMS,
    Case,
    both,
    case,
    get,
)
from tests.same.compare import OverSocket
from tests.same.run import assert_as_expected, assert_same, over_each
from tests.support.server import ServerThread

pytestmark = pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume:Warning")

MIXED = [
    "django.middleware.gzip.GZipMiddleware",
    "tests.project.middleware.async_only",
    "django.middleware.http.ConditionalGetMiddleware",
    *MIDDLEWARE[:2],
    "django.middleware.locale.LocaleMiddleware",
    "tests.project.middleware.sync_only",
    *MIDDLEWARE[2:4],
    "tests.project.middleware.WithHooks",
    *MIDDLEWARE[4:],
    "tests.project.middleware.async_only",
    "tests.project.middleware.sync_only",
]

GERMAN = {"accept-language": "de-AT,de;q=0.9"}
GZIP = {"accept-encoding": "gzip"}

ONLY_HERE = [
    *both("german", "say-yes/", headers=GERMAN, contains="de: Ja"),
    *both("seen-by", "hello/", contains="hello"),
    *both("short-circuit", "hello/?short", contains="answered by a middleware"),
    *both("view-hook", "hello/?from-view-hook", contains="answered by a view hook"),
    *both("rescued", "fail/500/?rescue", contains="rescued from Unforeseen"),
    *both("template-hook", "page/", headers=GERMAN, contains="True Ja"),
    *both("german-404", "fail/404/", headers=GERMAN, status=404),
    *[
        case(f"german-{view}", get(f"/{view}/language/", GERMAN), streamed=True)
        for view in ("stream", "astream", "mixed-stream", "amixed-stream")
    ],
    case("gzip", get("/large/text/", GZIP)),
    case("gzip-stream", get("/file/", GZIP), streamed=True),
    case("gzip-small", get("/hello/", GZIP, contains="hello")),
    case(
        "conditional",
        get("/hello/", {"if-none-match": '"5d41402abc4b2a76b9719d911017c592"'}, status=304),
    ),
    case("set-language", get("/activate/de/", GERMAN), get("/say-yes/", GERMAN), get("/say-yes/")),
]

#: Some rows say nothing new here; and a page with a random token has a random ETag.
SHARED = [
    row
    for row in (*PLAIN, *STREAMS, *ERRORS, *STATE, *API, *LANGUAGES, *CONDITIONAL, *BODIES[::4])
    if not row.name.startswith("status-") and row.name != "api-html"
]


@pytest.fixture(scope="module")
def server(database: None) -> Iterator[ServerThread]:
    languages = [("en", "English"), ("de", "German"), ("fr", "French")]
    limits = {"MAX_MESSAGE_BYTES": 8 * 2**20}
    with override_settings(MIDDLEWARE=MIXED, LANGUAGES=languages, WSREQUEST=limits):
        running = ServerThread(debug=False).start()
        yield running
        running.stop()


@pytest.mark.parametrize("case", [*SHARED, *ONLY_HERE], ids=lambda case: case.name)
@over_each
def test_same(case: Case, server: ServerThread, over: type[OverSocket]) -> None:
    assert_as_expected(case, assert_same(case, server, over))
