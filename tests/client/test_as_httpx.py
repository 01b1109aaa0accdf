"""One suite for httpx's own behaviour, run four times: over HTTP, and over the socket in each way that there is."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.client.conftest import SOCKETS, NewClient
from tests.client.urls import BODIES
from tests.project.gates import Gate


def body_of(response: httpx.Response) -> bytes:
    return base64.b64decode(response.json()["body"])


# --- what is sent ---


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"])
async def test_methods(client, method):
    response = await client.request(method, "/described/x/")
    assert (response.status_code, response.json()["method"]) == (200, method)


async def test_head_has_headers_and_no_body(client):
    response = await client.head("/body/json/")
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["content-type"] == "application/json"


async def test_paths_and_queries_arrive_as_they_were_written(client):
    described = (await client.get("/described/caf%C3%A9 x%2Fy/?b=2&a=1&a=&flag#part")).json()
    assert described["path"] == "/described/café x/y/"
    assert described["query"] == "b=2&a=1&a=&flag"


async def test_params(client):
    params = {"q": "a b&c", "tag": ["x", "y"], "page": 2, "yes": True, "none": None}
    described = (await client.get("/described/", params=params)).json()
    assert described["query"] == "q=a+b%26c&tag=x&tag=y&page=2&yes=true&none="


async def test_params_of_the_client(new_client):
    client = await new_client(params={"a": "1"}, headers={"X-A": "1"})
    described = (await client.get("/described/", params={"b": "2"}, headers={"x-b": "2"})).json()
    assert described["query"] == "a=1&b=2"
    assert {"x-a": "1", "x-b": "2"}.items() <= described["headers"].items()


async def test_headers_are_those_that_httpx_sends(client, kind):
    described = (
        await client.get(
            "/described/", headers={"Accept-Language": "de", "X-A": "é".encode("latin-1")}
        )
    ).json()
    assert set(described["headers"]) == {
        *("accept", "accept-encoding", "accept-language", "host", "user-agent", "x-a")
    }
    assert described["headers"]["user-agent"].startswith("python-httpx/")
    assert described["headers"]["accept-language"] == "de"


@pytest.mark.parametrize(
    "options",
    [
        {"json": {"a": [1, 2.5, "é", None]}},
        {"json": None, "content": b"null"},
        {"json": "text"},
        {"data": {"a": "é", "b": ["1", "2"]}},
        {"content": "héllo"},
        {"content": bytes(range(256))},
        {"content": b"\xff", "headers": {"content-type": "text/plain"}},
        {"content": b"[1,  2]", "headers": {"content-type": "application/json"}},
        {"content": b'"\\ud83d"', "headers": {"content-type": "application/json"}},
        {"content": b"{", "headers": {"content-type": "application/json"}},
        {"content": b"[" * 200 + b"]" * 200, "headers": {"content-type": "application/json"}},
        {"content": b""},
    ],
    ids=str,
)
async def test_bodies_arrive_byte_for_byte(client, options):
    sent = httpx.Request("POST", "http://any/", **options)
    response = await client.post("/described/", **options)
    described = response.json()
    assert body_of(response) == sent.read()
    assert described["type"] == sent.headers.get("content-type")
    response = await client.request("GET", "/described/", **options)
    assert body_of(response) == sent.read()


async def test_a_body_that_is_made_step_by_step(client, kind):
    def made() -> Iterator[bytes]:
        yield b"one, "
        yield b"two"

    async def amade() -> Any:
        for part in made():
            yield part

    response = await client.post("/described/", content=made() if kind == "sync" else amade())
    assert body_of(response) == b"one, two"


async def test_multipart(client):
    response = await client.post(
        "/files/",
        data={"title": "Notes", "tag": ["x", "y"]},
        files={
            "one": ("a.txt", b"hello", "text/plain"),
            "two": ("b.bin", bytes(range(256)), "application/x-own"),
        },
    )
    assert response.json() == {
        "fields": {"title": ["Notes"], "tag": ["x", "y"]},
        "files": {
            "one": [["a.txt", "text/plain", "hello"]],
            "two": [["b.bin", "application/x-own", bytes(range(256)).decode("latin-1")]],
        },
    }


@pytest.mark.usefixtures("database")
async def test_any_body(new_client: NewClient, kind):
    """The examples are tried on one client; a loop of hypothesis' own would need one for each."""
    client = await new_client()
    examples: list[tuple[bytes, str | None]] = []

    @settings(max_examples=25)
    @given(st.binary(max_size=200) | st.text().map(lambda text: text.encode("utf-8", "replace")),
           st.sampled_from([None, "text/plain", "application/json", "application/octet-stream"]))  # fmt: skip
    def collect(body: bytes, content_type: str | None) -> None:
        examples.append((body, content_type))

    collect()
    for body, content_type in examples:
        headers = {} if content_type is None else {"content-type": content_type}
        response = await client.post("/described/", content=body, headers=headers)
        assert body_of(response) == body
        assert response.json()["type"] == content_type


# --- what comes back ---


@pytest.mark.parametrize(
    "code", [200, 201, 204, 304, 400, 401, 403, 404, 405, 410, 418, 429, 500, 503]
)
async def test_statuses(client, code):
    response = await client.get(f"/answers/{code}/")
    assert response.status_code == code
    assert response.reason_phrase == httpx.codes.get_reason_phrase(code)
    assert response.text == ("" if code in (204, 304) else f"status {code}")
    assert response.is_success == (code < 300)
    if code >= 400:
        with pytest.raises(httpx.HTTPStatusError):
            response.raise_for_status()


@pytest.mark.parametrize("name", BODIES)
async def test_answers_come_back_byte_for_byte(client, kind, name):
    content, content_type = BODIES[name]
    response = await client.get(f"/body/{name}/")
    assert response.headers["content-type"] == content_type
    if (
        kind == "msgpack"
        and content_type.startswith("application/")
        and name in ("json", "problem")
    ):
        assert response.json() == httpx.Response(200, content=content).json()  # the same value
    else:
        assert response.content == content
        assert (
            response.text
            == httpx.Response(200, content=content, headers={"content-type": content_type}).text
        )


async def test_response_headers(client):
    response = await client.get("/headers/")
    wanted = {"x-one": "1", "x-two": "a, b", "etag": '"e"', "content-language": "de"}
    assert wanted.items() <= dict(response.headers).items()


async def test_compressed_answers_are_read(client):
    response = await client.get("/zipped/")
    assert response.headers["content-encoding"] == "gzip"
    assert response.text == "so much text " * 200


async def test_the_page_of_a_view_that_raises(client):
    response = await client.get("/raises/")
    assert (response.status_code, "Server Error" in response.text) == (500, True)


async def test_hooks_and_elapsed(new_client, kind):
    seen = []

    async def note(item: Any) -> None:
        seen.append(type(item).__name__)

    def note_now(item: Any) -> None:
        seen.append(type(item).__name__)

    hook = note_now if kind == "sync" else note
    client = await new_client(event_hooks={"request": [hook], "response": [hook]})
    response = await client.get("/hello/")
    assert seen == ["Request", "Response"]
    assert response.elapsed.total_seconds() > 0
    assert response.request.method == "GET"


# --- streams ---


async def test_a_stream_as_bytes_as_text_and_as_lines(client, kind):
    whole = "one, é\ntwo\n"
    assert (await client.get("/parts/fine/")).text == whole
    async with client.stream("GET", "/parts/fine/") as response:
        assert response.status_code == 200
        assert await response.aread() == whole.encode()
    async with client.stream("GET", "/parts/fine/") as response:
        if kind == "sync":
            assert await asyncio.to_thread(lambda: list(response.client.iter_lines())) == [
                "one, é",
                "two",
            ]
        else:
            assert [line async for line in response.aiter_lines()] == ["one, é", "two"]


async def test_an_answer_that_is_no_stream_can_be_streamed(client):
    async with client.stream("GET", "/body/bytes/") as response:
        assert await response.aread() == bytes(range(256))


# --- redirects, cookies, auth ---


async def test_redirects_are_followed_where_that_was_asked_for(new_client):
    client = await new_client()
    response = await client.get("/away/302/?to=/body/text/")
    assert (response.status_code, response.next_request.url.path) == (302, "/body/text/")
    response = await client.get("/away/302/?to=/body/text/", follow_redirects=True)
    assert response.text == "héllo"
    assert [each.status_code for each in response.history] == [302]
    assert response.url.path == "/body/text/"


@pytest.mark.parametrize(
    ("code", "method"), [(302, "GET"), (303, "GET"), (307, "POST"), (308, "POST")]
)
async def test_what_a_redirect_makes_of_a_post(client, code, method):
    response = await client.post(
        f"/away/{code}/?to=/described/", json={"a": 1}, follow_redirects=True
    )
    assert response.json()["method"] == method
    assert body_of(response) == (b'{"a":1}' if method == "POST" else b"")


async def test_too_many_redirects(new_client):
    client = await new_client(max_redirects=3, follow_redirects=True)
    with pytest.raises(httpx.TooManyRedirects):
        await client.get("/around/")


async def test_cookies_of_the_client_are_sent_with_the_first_request(new_client):
    client = await new_client(cookies={"a": "1", "b": '"2 3"'})
    assert (await client.get("/described/")).json()["cookies"] == {"a": "1", "b": "2 3"}
    assert (await client.get("/described/")).json()["cookies"] == {"a": "1", "b": "2 3"}


async def test_cookies_that_were_set_come_back(client):
    response = await client.get("/biscuits/?theme=dark&odd=a b;c&below=1")
    assert dict(response.cookies) == {"theme": "dark", "odd": '"a b\\073c"', "below": "1"}
    assert dict(client.cookies) == dict(response.cookies)
    shown = (await client.get("/biscuits/")).json()
    assert shown == {"theme": "dark", "odd": "a b;c"}
    shown = (await client.get("/described/")).json()["cookies"]
    assert shown == {"theme": "dark", "odd": "a b;c", "below": "1"}


async def test_a_cookie_that_was_changed_and_one_that_was_deleted(new_client):
    client = await new_client(cookies={"theme": "light", "old": "1"})
    client.cookies.clear()
    client.cookies.set("theme", "light", domain="127.0.0.1")
    client.cookies.set("old", "1", domain="127.0.0.1")
    await client.get("/biscuits/?theme=dark")
    await client.get("/forget/old/")
    assert (await client.get("/biscuits/")).json() == {"theme": "dark"}


async def test_a_secret_cookie_holds(client):
    await client.get("/secret/")
    assert (await client.get("/biscuits/")).json() == {"secret": "s"}


async def test_basic_auth(new_client):
    client = await new_client()
    assert (await client.get("/basic/")).status_code == 401
    assert (await client.get("/basic/", auth=("ada", "lovelace"))).text == "welcome"
    client = await new_client(auth=("ada", "lovelace"))
    assert (await client.get("/basic/")).text == "welcome"


async def test_digest_auth(client):
    response = await client.get("/digest/?a=1", auth=httpx.DigestAuth("ada", "lovelace"))
    assert (response.status_code, response.text) == (200, "welcome")


async def test_an_auth_of_the_project_s_own(client):
    class Own(httpx.Auth):
        requires_response_body = True

        def auth_flow(self, request: httpx.Request) -> Any:
            response = yield request
            assert response.text == ""
            request.headers["authorization"] = "Basic YWRhOmxvdmVsYWNl"
            yield request

    assert (await client.get("/basic/", auth=Own())).text == "welcome"


async def test_a_csrf_token_as_over_http(client):
    assert (await client.post("/csrf-token/")).status_code == 403
    await client.get("/csrf-token/")
    headers = {"x-csrftoken": client.cookies["csrftoken"]}
    assert (await client.post("/echo/x/", headers=headers)).status_code == 200


async def test_a_login_holds(client):
    await client.get("/csrf-token/")
    headers = {"x-csrftoken": client.cookies["csrftoken"]}
    sent = {"name": "ada", "word": "secret"}
    assert (await client.post("/log-in/", data=sent, headers=headers)).status_code == 200
    assert "ada" in (await client.get("/whoami/")).text


# --- timeouts and many at once ---


@pytest.mark.parametrize("kind", ["uvicorn", *SOCKETS])  # ASGITransport knows no timeouts
async def test_an_answer_that_does_not_come_in_time(client, gate: Gate, kind):
    with pytest.raises(httpx.ReadTimeout) as caught:
        await client.get(f"/agate/{gate.name}/", timeout=0.05)
    assert caught.value.request.url.path == f"/agate/{gate.name}/"
    await gate.cancelled.reached()
    assert (await client.get("/hello/")).text == "hello"


async def test_no_timeout(client):
    assert (await client.get("/hello/", timeout=None)).text == "hello"


async def test_many_at_once(client):
    async def one(number: int) -> int:
        return (await client.get(f"/described/?n={number}")).json()["query"]

    answers = await asyncio.gather(*map(one, range(100)))
    assert answers == [f"n={number}" for number in range(100)]


@pytest.mark.parametrize("kind", ["uvicorn", *SOCKETS])  # ASGITransport takes every url
async def test_other_schemes_are_refused(client, kind):
    with pytest.raises(httpx.UnsupportedProtocol):
        await client.get("ftp://127.0.0.1/")
