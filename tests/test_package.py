"""What is shipped: the wheel is built here, and looked into."""

from __future__ import annotations

import email
import os
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

import wsrequest

ROOT = Path(__file__).resolve().parent.parent
VERSION = "1.0.0.dev0"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (path,) = folder.iterdir()
    assert path.name == f"django_websocket_request-{VERSION}-py3-none-any.whl"
    with zipfile.ZipFile(path) as archive:
        yield archive


@pytest.fixture
def description(wheel) -> email.message.Message:
    text = wheel.read(f"django_websocket_request-{VERSION}.dist-info/METADATA").decode()
    return email.message_from_string(text)


def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    shipped = {name for name in wheel.namelist() if not name.split("/")[0].endswith(".dist-info")}
    source = ROOT / "src"
    expected = {
        str(path.relative_to(source))
        for path in source.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert shipped == expected
    assert {"wsrequest/__init__.py", "wsrequest/asgi.py", "wsrequest/py.typed"} <= shipped
    assert "wsrequest/static/wsrequest/wsrequest.js" in shipped


def test_the_licence_is_in_the_wheel(wheel, description):
    name = f"django_websocket_request-{VERSION}.dist-info/licenses/LICENSE"
    assert "MIT License" in wheel.read(name).decode()
    assert description["License-Expression"] == "MIT"


def test_it_needs_django_and_msgspec_and_nothing_else(description):
    required = [line for line in description.get_all("Requires-Dist") if "extra ==" not in line]
    assert sorted(required) == ["django<6.2,>=5.2", "msgspec<1,>=0.19"]
    assert description["Requires-Python"] == ">=3.11"


def test_it_names_the_versions_it_is_for(description):
    classifiers = description.get_all("Classifier")
    pythons = [c.rpartition(" ")[2] for c in classifiers if "Python :: 3." in c]
    djangos = [c.rpartition(" ")[2] for c in classifiers if c.startswith("Framework :: Django :: ")]
    assert pythons == ["3.11", "3.12", "3.13", "3.14"]
    assert djangos == ["5.2", "6.0", "6.1"]
    assert "Typing :: Typed" in classifiers


def test_the_readme_is_its_description(description):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert description["Description-Content-Type"] == "text/markdown"
    assert description.get_payload().strip() == readme.strip()


def test_the_installed_version_is_the_source_s():
    assert metadata.version("django-websocket-request") == VERSION


def test_what_is_tested_is_what_is_installed():
    """`make wheel-test` runs all tests on the wheel: the source tree must not shadow it there."""
    location = Path(wsrequest.__file__).resolve()
    if os.environ.get("WSREQUEST_EXPECT_WHEEL"):
        assert "site-packages" in location.parts
    else:
        assert location.is_relative_to(ROOT / "src") or "site-packages" in location.parts
