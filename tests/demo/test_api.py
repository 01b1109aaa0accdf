"""The demo's API and pages over plain HTTP: what the page gets through the socket is this."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.demo.conftest import PATIENCE, SEEDED, log_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.demo.server import DemoServer

pytestmark = pytest.mark.slow

GOOD = {"title": "Nothing much", "language": "python", "code": "x = 1\n"}
ADAS = 3  # a seeded snippet that belongs to somebody else


@pytest.fixture
def visitor(demo: DemoServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=demo.url, timeout=PATIENCE) as client:
        yield client


@pytest.fixture
def member(visitor: httpx.Client, login_cookies: httpx.Cookies) -> httpx.Client:
    visitor.cookies.update(login_cookies)
    visitor.headers["X-CSRFToken"] = login_cookies["csrftoken"]
    return visitor


def count(demo: DemoServer) -> int:
    return demo.execute("SELECT count(*) FROM snippets_snippet")[0][0]


# --- reading ------------------------------------------------------------------------------------------


def test_the_list_has_the_newest_first_and_no_code(visitor):
    page = visitor.get("/api/snippets/").json()
    assert page["count"] == SEEDED
    assert page["next"] is None
    assert [row["id"] for row in page["results"]] == list(range(1, SEEDED + 1))
    assert set(page["results"][0]) == {"id", "title", "language", "owner", "updated"}


@pytest.mark.parametrize(
    ("search", "ids"),
    [("jitter", [2]), ("RUST", [4]), ("ada", [3, 6]), ("nowhere to be found", [])],
    ids=["title", "language", "owner", "nothing"],
)
def test_search(visitor, search, ids):
    page = visitor.get("/api/snippets/", params={"search": search}).json()
    assert [row["id"] for row in page["results"]] == ids


def test_a_snippet_comes_highlighted(visitor):
    snippet = visitor.get("/api/snippets/1/").json()
    assert (snippet["title"], snippet["owner"]) == ("A message is a request", "demo")
    assert '<span class="kn">import</span>' in snippet["highlighted"]
    assert '<span class="linenos"> 1</span>' in snippet["highlighted"]
    assert snippet["may_edit"] is False


def test_a_snippet_that_is_not_there(visitor):
    assert visitor.get("/api/snippets/4711/").status_code == 404
    assert visitor.get("/api/snippets/99999999999999999999/").status_code == 404


def test_the_pages_follow_each_other(demo, visitor):
    for number in range(20):
        demo.execute(
            "INSERT INTO snippets_snippet (title, code, language, created, updated)"
            " VALUES (?, 'x', 'text', '2001-01-01', '2001-01-01')",
            f"Old {number}",
        )
    first = visitor.get("/api/snippets/").json()
    second = visitor.get(first["next"]).json()
    assert len(first["results"]) == 20
    assert len(second["results"]) == SEEDED
    assert second["next"] is None


# --- writing ------------------------------------------------------------------------------------------


def test_a_visitor_may_not_write(demo, visitor):
    visitor.get("/")
    visitor.headers["X-CSRFToken"] = visitor.cookies["csrftoken"]
    assert visitor.post("/api/snippets/", json=GOOD).status_code == 403
    assert visitor.put("/api/snippets/1/", json=GOOD).status_code == 403
    assert visitor.delete("/api/snippets/1/").status_code == 403
    assert count(demo) == SEEDED


def test_create_change_delete(demo, member):
    made = member.post("/api/snippets/", json=GOOD)
    assert made.status_code == 201
    snippet = made.json()
    assert (snippet["owner"], snippet["may_edit"]) == ("demo", True)
    url = f"/api/snippets/{snippet['id']}/"

    changed = member.patch(url, json={"language": "ruby"})
    assert (changed.status_code, changed.json()["language"]) == (200, "ruby")
    assert member.put(url, json={**GOOD, "title": "Less"}).json()["title"] == "Less"

    assert member.delete(url).status_code == 204
    assert member.get(url).status_code == 404
    assert count(demo) == SEEDED


@pytest.mark.parametrize(
    ("change", "errors"),
    [
        ({"title": None}, {"title": ["This field may not be null."]}),
        ({"title": "  "}, {"title": ["This field may not be blank."]}),
        ({"title": "x" * 101}, {"title": ["Ensure this field has no more than 100 characters."]}),
        ({"code": ""}, {"code": ["This field may not be blank."]}),
        ({"code": " \n\t\n"}, {"code": ["This field may not be blank."]}),
        (
            {"code": "x" * 10_001},
            {"code": ["Ensure this field has no more than 10000 characters."]},
        ),
        ({"language": "cobol"}, {"language": ['"cobol" is not a valid choice.']}),
    ],
    ids=["null", "blank", "long", "no code", "white space", "long code", "language"],
)
def test_what_is_wrong_is_said(demo, member, change, errors):
    answer = member.post("/api/snippets/", json={**GOOD, **change})
    assert (answer.status_code, answer.json()) == (400, errors)
    assert count(demo) == SEEDED


def test_what_is_missing_is_said(member):
    required = ["This field is required."]
    assert member.post("/api/snippets/", json={}).json() == {"title": required, "code": required}


def test_white_space_around_code_is_kept(member):
    made = member.post("/api/snippets/", json={**GOOD, "code": "    indented\n\n"}).json()
    assert made["code"] == "    indented\n\n"


def test_markup_in_code_is_escaped(member):
    code = '<script>alert(1)</script><img src=x onerror="alert(2)">'
    made = member.post("/api/snippets/", json={**GOOD, "language": "text", "code": code}).json()
    assert made["code"] == code
    assert "<script" not in made["highlighted"]
    assert "<img" not in made["highlighted"]
    assert "&lt;script&gt;" in made["highlighted"]


def test_only_the_owner_writes(member):
    url = f"/api/snippets/{ADAS}/"
    assert member.get(url).json()["may_edit"] is False
    for answer in (member.put(url, json=GOOD), member.patch(url, json=GOOD), member.delete(url)):
        assert answer.status_code == 403
        assert answer.json() == {"detail": "Only the owner of a snippet may change it."}


def test_the_owner_cannot_be_chosen(member):
    made = member.post("/api/snippets/", json={**GOOD, "owner": "ada", "may_edit": False}).json()
    assert (made["owner"], made["may_edit"]) == ("demo", True)


def test_a_preview_is_not_kept(demo, member):
    body = {"language": "python", "code": "def f(): pass"}
    answer = member.post("/api/snippets/preview/", json=body)
    assert answer.status_code == 200
    assert '<span class="nf">f</span>' in answer.json()["highlighted"]
    assert count(demo) == SEEDED


def test_a_preview_of_nonsense(member):
    answer = member.post("/api/snippets/preview/", json={"language": "cobol", "code": " "})
    assert answer.status_code == 400
    assert set(answer.json()) == {"language", "code"}


# --- the session --------------------------------------------------------------------------------------


def test_who_am_i(visitor):
    assert visitor.get("/api/session/").json() == {"user": None}
    log_in(visitor, "demo", "demo")
    assert visitor.get("/api/session/").json() == {"user": "demo"}
    token = visitor.cookies["csrftoken"]
    visitor.post("/accounts/logout/", data={"csrfmiddlewaretoken": token})
    assert visitor.get("/api/session/").json() == {"user": None}


def test_over_http_writing_needs_the_csrf_token(member):
    del member.headers["X-CSRFToken"]
    answer = member.post("/api/snippets/", json=GOOD)
    assert (answer.status_code, answer.json()["detail"]) == (
        403,
        "CSRF Failed: CSRF token missing.",
    )


def test_login_goes_on_where_one_was(visitor):
    answer = log_in(visitor, "demo", "demo", next="/#/new")
    assert answer.headers["location"] == "/#/new"


def test_login_goes_nowhere_else(visitor):
    answer = log_in(visitor, "demo", "demo", next="//evil.example/")
    assert answer.headers["location"] == "/"


@pytest.mark.parametrize(("username", "password"), [("demo", "wrong"), ("ada", ""), ("ada", "ada")])
def test_a_wrong_login(visitor, username, password):
    answer = log_in(visitor, username, password)
    assert answer.status_code == 200
    assert "don't match" in answer.text


# --- pages and files ----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/accounts/login/", "/nowhere/"])
def test_pages_have_a_strict_policy_and_keep_to_it(visitor, path):
    page = visitor.get(path)
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"<script(?![^>]* src=)", page.text)
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", page.text)
    assert not re.search(r"(?:src|href|action)=\"(?:https?:)?//", page.text)


def test_the_api_has_no_policy(visitor):
    assert "content-security-policy" not in visitor.get("/api/snippets/").headers


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("app.js", "text/javascript"),
        ("wire.js", "text/javascript"),
        ("style.css", "text/css"),
        ("pygments.css", "text/css"),
        ("icon.svg", "image/svg+xml"),
    ],
)
def test_static_files_are_served(visitor, name, content_type):
    answer = visitor.get(f"/static/snippets/{name}")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(content_type)


# --- commands -----------------------------------------------------------------------------------------


def test_seed_may_be_run_again(demo, visitor):
    (before,) = demo.execute("SELECT password FROM auth_user WHERE username = 'demo'")
    change = "UPDATE auth_user SET password = ? WHERE username = 'demo'"
    demo.execute(change, "!")
    try:
        assert "snippets are there already" in demo.manage("seed")
        assert count(demo) == SEEDED
        assert demo.execute("SELECT count(*) FROM auth_user") == [(3,)]
        assert log_in(visitor, "demo", "demo").status_code == 302
    finally:
        demo.execute(change, *before)  # sessions of the password before are good again


def test_the_project_has_nothing_to_complain_about(demo):
    demo.manage("check", "--fail-level", "WARNING")
    demo.manage("makemigrations", "--check", "--dry-run")
