"""The browser's client: its own tests, its types, and the files that are shipped."""

from __future__ import annotations

import filecmp
import gzip
import re

import pytest

from tests.support.node import JS, node, vitest
from tests.support.server import ROOT, ServerProcess

pytestmark = pytest.mark.node

STATIC = ROOT / "src/wsrequest/static/wsrequest"
BUDGET = 5 * 1024  # bytes of the core, minified and compressed


def test_its_units():
    said = vitest("tests")
    assert "failed" not in said
    assert int(re.search(r"Tests +(\d+) passed", said)[1]) > 150, said


#: What Django says of streams over HTTP under ASGI, and of forms that were sent as files there.
OVER_HTTP = ("ignore:StreamingHttpResponse must consume", "ignore::ResourceWarning")


def test_it_against_the_real_server(tmp_path):
    server = ServerProcess(tmp_path, ignored=OVER_HTTP).start()
    said = vitest("tests-server", WSREQUEST_SERVER=server.http)
    assert int(re.search(r"Tests +(\d+) passed", said)[1]) > 70, said
    server.stop()


def test_its_types():
    assert node("node_modules/typescript/bin/tsc", "--noEmit") == ""


def test_the_package_for_npm_has_types_of_all_that_it_exports(tmp_path):
    node("node_modules/typescript/bin/tsc", "-p", "tsconfig.dist.json", "--outDir", tmp_path)
    exported = re.findall(r'"\./dist/(.*?)"', (JS / "package.json").read_text())
    assert {"index.d.ts", "index.js", "entries/react.js"} <= {*exported}
    for name in exported:
        assert (tmp_path / name).is_file(), name


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("static")
    print(node("build.mjs", folder))
    return folder


def test_what_is_shipped_is_what_the_source_gives(built):
    """`make js` writes it."""
    names = sorted(path.name for path in built.iterdir())
    assert names == sorted(path.name for path in STATIC.iterdir())
    _, different, missing = filecmp.cmpfiles(built, STATIC, names, shallow=False)
    assert different + missing == []


def test_each_file_says_its_licence(built):
    for path in built.iterdir():
        assert path.read_text().startswith("/*! "), path.name
        assert "MIT" in path.read_text().splitlines()[0]


def test_the_core_is_small(built):
    core = (built / "wsrequest.js").read_bytes()
    size = len(gzip.compress(core, 9))
    print(f"wsrequest.js: {len(core)} bytes, {size} compressed")
    assert size <= BUDGET


def test_nothing_is_needed_but_a_browser(built):
    for path in built.iterdir():
        wanted = set(re.findall(r'\b(?:from|import)\s*"([\w./-]+)"', path.read_text()))
        assert wanted <= ({"react"} if path.name == "react.js" else {"./wsrequest.js"}), path.name


def test_no_registry_is_named():
    lock = (JS / "package-lock.json").read_text()
    assert '"integrity"' in lock
    assert '"resolved"' not in lock
