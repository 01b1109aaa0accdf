"""{% wsrequest_script %}: what it writes, under any storage of static files and any policy."""

from __future__ import annotations

import json
import re

import pytest
from django.contrib.staticfiles import finders
from django.contrib.staticfiles.storage import ManifestStaticFilesStorage
from django.template import Context, Engine
from django.utils.functional import SimpleLazyObject, empty

try:
    from django.utils.csp import LazyNonce
except ImportError:  # before Django 6, which this is after

    class LazyNonce(SimpleLazyObject):
        """False until somebody has asked for it."""

        def __init__(self):
            super().__init__(lambda: "abc==")

        def __bool__(self):
            return self._wrapped is not empty


ENGINE = Engine(libraries={"wsrequest": "wsrequest.templatetags.wsrequest"})
NAMES = ["", "/http", "/stream", "/shared", "/fragment"]


def render(tag="wsrequest_script", **context) -> str:
    return ENGINE.from_string(f"{{% load wsrequest %}}{{% {tag} %}}").render(Context(context))


def imports_in(html: str) -> dict[str, str]:
    (text,) = re.findall(r"<script[^>]*>(.*?)</script>", html)
    return json.loads(text)["imports"]


def nonces_in(html: str) -> list[str]:
    return re.findall(r'nonce="([^"]*)"', html)


def test_names_lead_to_files_that_are_in_the_package(settings):
    settings.STATIC_URL = "/static/"
    found = imports_in(render())
    assert list(found) == [f"wsrequest{name}" for name in NAMES]
    for name, url in found.items():
        assert url == f"/static/wsrequest/{name.rpartition('/')[2]}.js"
        assert finders.find(url.removeprefix("/static/")), url


def test_the_core_is_fetched_early(settings):
    settings.STATIC_URL = "https://cdn.example/s/"
    url = "https://cdn.example/s/wsrequest/wsrequest.js"
    assert f'<link rel="modulepreload" href="{url}">' in render()


def test_without_a_policy_there_is_no_nonce():
    assert nonces_in(render()) == []
    assert nonces_in(render(csp_nonce="")) == []
    assert nonces_in(render("wsrequest_script nonce=nowhere")) == []


def test_django_s_nonce_is_written_by_itself():
    nonce = LazyNonce()
    assert not nonce
    written = nonces_in(render(csp_nonce=nonce))
    assert written == [str(nonce)] * 2
    assert nonce  # so the header has it


@pytest.mark.parametrize("given", ["nonce=other", "nonce='mine'"])
def test_another_nonce_goes_before_it(given):
    html = render(f"wsrequest_script {given}", csp_nonce="django's", other="mine")
    assert nonces_in(html) == ["mine", "mine"]


def test_nothing_leaves_its_place(settings):
    settings.STATIC_URL = "/</script><script>alert(1)//&\"'/"
    html = render("wsrequest_script nonce=evil", evil='"><script>')
    assert html.count("<script") == html.count("</script>") == 1
    assert html.count("<link") == 1
    assert imports_in(html)["wsrequest"].endswith("/wsrequest/wsrequest.js")
    assert nonces_in(html) == ["&quot;&gt;&lt;script&gt;"] * 2


class Hashed(ManifestStaticFilesStorage):
    """A deployment whose ``collectstatic`` has run."""

    def __init__(self):
        super().__init__(location="/nowhere", base_url="/static/")
        files = ("wsrequest", *(name[1:] for name in NAMES[1:]))
        self.hashed_files = {f"wsrequest/{n}.js": f"wsrequest/{n}.0a1b2c.js" for n in files}

    def load_manifest(self):
        return {}, ""


def test_an_entry_and_the_page_get_the_same_core(settings):
    """fragment.js imports ./wsrequest.js, whose name has a hash in such a deployment."""
    settings.DEBUG = False
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": f"{__name__}.Hashed"},
    }
    found = imports_in(render())
    assert found["wsrequest"] == "/static/wsrequest/wsrequest.0a1b2c.js"
    assert found["wsrequest/fragment"] == "/static/wsrequest/fragment.0a1b2c.js"
    assert found["/static/wsrequest/wsrequest.js"] == found["wsrequest"]
