"""What the answer of a watched request depended on, and who may be given the same."""

from __future__ import annotations

import contextvars
import copy
import json
import re
import threading
from collections.abc import Callable, Hashable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.middleware.csrf import get_token
from django.template import engines
from django.template.response import TemplateResponse
from django.test import override_settings
from django.utils import translation
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from rest_framework.authentication import SessionAuthentication, TokenAuthentication
from rest_framework.response import Response
from rest_framework.views import APIView

from tests.lifecycle.support import HOST, ORIGIN, Recorder, body, message
from wsrequest.conf import get_settings
from wsrequest.lifecycle.call import Call
from wsrequest.lifecycle.request import RequestFactory, SocketRequest
from wsrequest.lifecycle.response import Reply
from wsrequest.lifecycle.runner import PoolRunner, _answer_sync
from wsrequest.lifecycle.touched import Observed, Varies, likeness
from wsrequest.lifecycle.websocket import WebSocket
from wsrequest.protocol.handshake import Handshake
from wsrequest.protocol.json import JSONCodec
from wsrequest.protocol.msgpack import MsgpackCodec

LOCALE = "django.middleware.locale.LocaleMiddleware"
SIGNED = "django.contrib.sessions.backends.signed_cookies"

pytestmark = pytest.mark.usefixtures("urls")

View = Callable[[Any], Any]


class ViewedCall(Call):
    """A call whose answer is a view's that the test has at hand."""

    __slots__ = ("view",)

    def request(self) -> Any:
        request = super().request()
        assert isinstance(request, SocketRequest)
        request.own_view = self.view
        return request


_number = iter(range(1_000_000))


def call_of(
    view: View | None = None,
    url: str = "/view/",
    *,
    cookie: str = "",
    headers: dict[str, str] | None = None,
    meta: dict[str, Any] | None = None,
    codec: Any = None,
    port: int = 5000,
    **fields: Any,
) -> Call:
    """A call by a connection of its own; ``headers`` are the handshake's."""
    pairs = [(n.lower().encode(), v.encode()) for n, v in (headers or {}).items()]
    if "host" not in (headers or {}):
        pairs.append(HOST)
    handshake = Handshake(
        path="/ws/", headers=(*pairs, ORIGIN), client=("10.0.0.1", port), server=("testserver", 80)
    )
    websocket = WebSocket(f"c{next(_number)}", "json", None)
    factory = RequestFactory(handshake, get_settings(), meta=meta, websocket=websocket)
    call = ViewedCall(
        factory, message(url, **fields), cookie, True, frozenset(), codec or JSONCodec()
    )
    call.observed = Observed()
    if view is not None:
        call.view = view
    return call


def answer(call: Call) -> Reply:
    request = call.request()
    reply = contextvars.copy_context().run(_answer_sync, call, request)
    assert isinstance(reply, Reply)
    return reply


def varies(view: View, **facts: Any) -> Varies:
    found = answer(call_of(view, **facts)).varies
    assert found is not None
    return found


def touching(touch: View) -> View:
    """A view that only looks."""

    def view(request: HttpRequest) -> HttpResponse:
        touch(request)
        return HttpResponse("x")

    return view


def without_vary(view: View) -> View:
    """As a project's middleware that drops the header; the answer depends on the same as before."""

    def wrapped(request: HttpRequest) -> HttpResponse:
        response: HttpResponse = view(request)
        del response.headers["Vary"]
        return response

    return wrapped


def meta(*keys: str) -> Varies:
    return Varies(meta=frozenset(keys))


# --- what is read ---


def test_a_view_that_reads_nothing_is_everybodys_for_all_the_middleware_that_there_is() -> None:
    view = touching(lambda request: None)
    found = varies(
        view,
        cookie="sessionid=abcdefghijkl; csrftoken=" + "a" * 32,
        headers={"user-agent": "x", "authorization": "JWT x"},
    )
    assert found == Varies()


@pytest.mark.parametrize(
    "touch",
    [
        lambda request: request.method + request.path + request.path_info + request.content_type,
        lambda request: (request.GET, request.body, request.encoding, request.resolver_match),
        lambda request: request.META["QUERY_STRING"] + request.META["REQUEST_METHOD"],
        lambda request: (request.build_absolute_uri(), request.get_host(), request.is_secure()),
        lambda request: (request.get_port(), request.headers["Host"], request.META["HTTP_HOST"]),
        lambda request: (hasattr(request, "session"), hasattr(request, "user")),
        lambda request: request.META.update({"mine": 1}),
        lambda request: request.headers.get("Content-Type"),
    ],
)
def test_what_the_message_and_the_host_say_is_no_dependence(touch: View) -> None:
    assert varies(touching(touch)) == Varies()


@pytest.mark.parametrize(
    "touch",
    [
        lambda request: request.META["HTTP_ACCEPT_LANGUAGE"],
        lambda request: request.META.get("HTTP_ACCEPT_LANGUAGE"),
        lambda request: "HTTP_ACCEPT_LANGUAGE" in request.META,
        lambda request: request.META.pop("HTTP_ACCEPT_LANGUAGE", None),
        lambda request: request.META.setdefault("HTTP_ACCEPT_LANGUAGE", "de"),
        lambda request: request.META.__delitem__("HTTP_ACCEPT_LANGUAGE"),
        lambda request: "{HTTP_ACCEPT_LANGUAGE}".format_map(request.META),
        lambda request: request.environ["HTTP_ACCEPT_LANGUAGE"],
        lambda request: request.headers["accept-language"],
        lambda request: request.headers["Accept_Language"],
        lambda request: request.headers.get("Accept-Language"),
        lambda request: "accept-language" in request.headers,
        lambda request: list(map(request.META.get, ["HTTP_ACCEPT_LANGUAGE"])),
        lambda request: copy.copy(request).META["HTTP_ACCEPT_LANGUAGE"],
    ],
)
def test_every_way_to_read_a_header_is_seen(touch: View) -> None:
    found = varies(touching(touch), headers={"accept-language": "fr"})
    assert found == meta("HTTP_ACCEPT_LANGUAGE")


def matches(request: HttpRequest) -> None:
    match request.META:
        case {"HTTP_ACCEPT_LANGUAGE": _}:
            pass


def test_a_pattern_reads() -> None:
    found = varies(touching(matches))
    assert found == Varies(
        frozenset({"HTTP_ACCEPT_LANGUAGE"}), alone=True
    )  # it asks for the length


@pytest.mark.parametrize(
    ("touch", "key"),
    [
        (lambda request: request.META.get("HTTP_X_TENANT"), "HTTP_X_TENANT"),
        (lambda request: request.META["REMOTE_ADDR"], "REMOTE_ADDR"),
        (lambda request: request.META.get("HTTP_USER_AGENT"), "HTTP_USER_AGENT"),
        (lambda request: request.accepts("text/html"), "HTTP_ACCEPT"),
    ],
)
def test_what_is_absent_is_asked_for_all_the_same(touch: View, key: str) -> None:
    assert varies(touching(touch)) == meta(key)


EVERYTHING = [
    dict,
    list,
    sorted,
    len,
    bool,
    repr,
    str,
    copy.copy,
    copy.deepcopy,
    json.dumps,
    lambda meta: {**meta},
    lambda meta: dict(**meta),
    lambda meta: meta | {},
    lambda meta: {} | meta,
    lambda meta: dict(meta, a=1),
    lambda meta: meta.copy(),
    lambda meta: meta.keys(),
    lambda meta: meta.values(),
    lambda meta: meta.items(),
    lambda meta: [*meta],
    lambda meta: list(reversed(meta)),
    lambda meta: meta == {},
    lambda meta: meta != {},
    lambda meta: meta == {},
    lambda meta: meta.popitem() if meta else None,
    lambda meta: meta.__reduce_ex__(2),
]


@pytest.mark.parametrize("read", EVERYTHING)
def test_every_way_to_read_all_of_meta_is_seen(read: View) -> None:
    assert varies(touching(lambda request: read(request.META))).alone


@pytest.mark.parametrize("read", EVERYTHING)
def test_every_way_to_read_all_cookies_is_seen(read: View) -> None:
    view = touching(lambda request: read(request.COOKIES))
    found = varies(view, cookie="a=1; b=2")
    assert "HTTP_COOKIE" in found.meta
    assert not found.alone


@pytest.mark.parametrize(
    "read",
    [
        lambda request: dict(request.headers),
        lambda request: list(request.headers),
        lambda request: len(request.headers),
        lambda request: request.headers.items(),
        lambda request: repr(request.headers),
        lambda request: request.headers == {},
        lambda request: request.scope,
        lambda request: request.websocket,
        lambda request: hasattr(request, "websocket"),
        lambda request: request.META["REMOTE_PORT"],
        lambda request: request.META["wsrequest.connection"],
    ],
)
def test_who_looks_at_the_connection_itself_is_alone(read: View) -> None:
    def view(request: HttpRequest) -> HttpResponse:
        found = read(request)
        list(found) if hasattr(found, "__iter__") else None
        return HttpResponse()

    assert varies(view).alone


def test_the_stand_ins_say_what_they_stand_for() -> None:
    def view(request: Any) -> HttpResponse:
        meta, cookies = request.META, request.COOKIES
        assert isinstance(meta, dict)
        assert isinstance(cookies, dict)
        plain = dict(meta)
        assert type(plain) is dict
        assert meta == plain == meta.copy() == copy.copy(meta) == copy.deepcopy(meta)
        assert meta != {}
        assert repr(meta) == repr(plain)
        assert len(meta) == len(plain) == len([*meta]) == len(list(reversed(meta)))
        assert (meta | {"a": 1}) == {"a": 1} | meta == {**plain, "a": 1}
        assert cookies == {"a": "1", "b": "2"}
        assert cookies.get("c", 3) == 3
        assert cookies.pop("a") == "1"
        assert cookies.setdefault("d", 4) == 4
        del cookies["d"]
        assert cookies.popitem() == ("b", "2")
        with pytest.raises(KeyError):
            cookies["a"]
        with pytest.raises(KeyError):
            cookies.pop("a")
        with pytest.raises(TypeError):
            hash(meta)
        assert request.headers["host"] == "testserver"
        assert "Host" in dict(request.headers)
        assert len(request.headers) == len(list(request.headers))
        with pytest.raises(KeyError):
            request.headers["x-none"]
        assert request.scope["client"] == ("10.0.0.1", 5000)
        assert request.websocket.id == meta["wsrequest.connection"]
        assert request.session.get("x") is None
        del request.session
        for name in ("session", "nothing"):
            assert not hasattr(request, name)
        with pytest.raises(AttributeError):
            del request.session
        return HttpResponse("done")

    assert body(answer(call_of(view, cookie="a=1; b=2"))) == "done"


def test_a_request_without_a_connection_has_no_websocket() -> None:
    handshake = Handshake("/ws/", headers=(HOST,))
    request = RequestFactory(handshake, get_settings()).build(message("/"), "", trusted=True)
    observed = Observed()
    observed.watch(request)
    assert not hasattr(request, "websocket")
    assert observed.varies(HttpResponse()) == Varies(alone=True)


# --- cookies and who it is ---


@pytest.mark.parametrize(
    "touch",
    [
        lambda request: request.COOKIES["theme"],
        lambda request: request.COOKIES.get("theme"),
        lambda request: "theme" in request.COOKIES,
        lambda request: request.get_signed_cookie("theme", None),
    ],
)
def test_a_cookie_counts_by_its_name(touch: View) -> None:
    assert varies(touching(touch), cookie="theme=dark") == Varies(cookies=frozenset({"theme"}))


def new_session(request: HttpRequest) -> None:
    request.session = type(request.session)("abcdefghijkl")


@pytest.mark.parametrize("clean", [lambda view: view, without_vary])
@pytest.mark.parametrize(
    "touch",
    [
        lambda request: request.user.is_authenticated,
        lambda request: request.session.get("x"),
        lambda request: "x" in request.session,
        lambda request: request.session.session_key,
        lambda request: request.session._session_key,
        lambda request: request.session.is_empty(),
        lambda request: vars(request.session),
        lambda request: getattr(request.session, "session_key", None),
        lambda request: request.session.accessed,
        lambda request: (new_session(request), request.session.session_key),
        lambda request: setattr(request, "session", {"no": "class of Python's"}),
        get_token,
        lambda request: "CSRF_COOKIE" in request.META,
        lambda request: request.META.get("CSRF_COOKIE_NEEDS_UPDATE"),
        lambda request: request.META.get("HTTP_AUTHORIZATION"),
        lambda request: request.headers.get("Authorization"),
        lambda request: setattr(request, "user", User(pk=1)),
    ],
)
def test_whatever_tells_who_asks_counts_without_vary_too(touch: View, clean: Any) -> None:
    with override_settings(SESSION_ENGINE=SIGNED):
        found = varies(clean(touching(touch)), cookie="sessionid=abcdefghijkl")
    assert found.identity
    assert not found.alone


@pytest.mark.parametrize(
    "touch",
    [
        lambda request: request.headers.get("Cookie"),
        lambda request: request.META.get("HTTP_COOKIE"),
    ],
)
def test_all_cookies_count_where_they_were_read_as_one(touch: View) -> None:
    assert varies(touching(touch)) == meta("HTTP_COOKIE")


def test_a_csrf_token_is_that_of_its_cookie() -> None:
    view = touching(get_token)
    found = varies(view, cookie=f"csrftoken={'a' * 32}")
    assert found.identity
    assert "csrftoken" in found.cookies


def test_a_session_cookie_that_somebody_else_reads_counts() -> None:
    view = touching(lambda request: request.COOKIES.get("sessionid"))
    assert varies(view, cookie="sessionid=abcdefghijkl").cookies == {"sessionid"}


def test_a_csrf_cookie_that_somebody_else_reads_counts() -> None:
    view = touching(lambda request: request.COOKIES.get("csrftoken"))
    assert varies(view).cookies == {"csrftoken"}


def test_a_csrf_cookie_that_is_none_makes_its_owner_somebody() -> None:
    assert varies(touching(lambda request: None), cookie="csrftoken=wrong").identity


@override_settings(CSRF_USE_SESSIONS=True, SESSION_ENGINE=SIGNED)
def test_with_csrf_in_the_session_the_session_is_read_by_every_request() -> None:
    assert varies(touching(lambda request: None)).identity


@override_settings(SESSION_SAVE_EVERY_REQUEST=True, SESSION_ENGINE=SIGNED)
def test_a_session_that_its_middleware_saves_is_read() -> None:
    view = touching(lambda request: None)
    assert not varies(view).identity
    assert varies(view, cookie="sessionid=abcdefghijkl").identity


def test_user_agents_count_where_some_are_refused() -> None:
    view = touching(lambda request: None)
    with override_settings(DISALLOWED_USER_AGENTS=[re.compile("bot")]):
        assert varies(view) == meta("HTTP_USER_AGENT")


@pytest.mark.parametrize(
    ("authenticator", "seen"),
    [(None, False), (SessionAuthentication, True), (TokenAuthentication, True)],
)
def test_rest_framework_is_seen_through(authenticator: Any, seen: bool) -> None:
    class Api(APIView):
        authentication_classes = [authenticator] if authenticator else []
        permission_classes = []

        def get(self, request: Any) -> Response:
            return Response({"language": request.META.get("HTTP_ACCEPT_LANGUAGE")})

    with override_settings(SESSION_ENGINE=SIGNED):
        found = varies(Api.as_view(), cookie="sessionid=abcdefghijkl")
    assert found == Varies(frozenset({"HTTP_ACCEPT", "HTTP_ACCEPT_LANGUAGE"}), identity=seen)


def test_the_language_is_that_of_a_cookie_and_a_header(settings: Any) -> None:
    settings.MIDDLEWARE = [LOCALE, *settings.MIDDLEWARE]
    found = varies(lambda request: HttpResponse(translation.get_language()))
    assert found == Varies(frozenset({"HTTP_ACCEPT_LANGUAGE"}), frozenset({"django_language"}))


# --- Vary ---


@pytest.mark.parametrize(
    ("vary", "expected"),
    [
        ("Accept-Language", meta("HTTP_ACCEPT_LANGUAGE")),
        ("accept-language, X-Tenant ,", meta("HTTP_ACCEPT_LANGUAGE", "HTTP_X_TENANT")),
        ("Cookie", meta("HTTP_COOKIE")),
        ("origin, AUTHORIZATION", Varies(frozenset({"HTTP_ORIGIN"}), identity=True)),
        ("*", Varies(alone=True)),
        ("Host, Content-Type", Varies()),
    ],
)
def test_vary_is_believed(vary: str, expected: Varies) -> None:
    assert varies(lambda request: HttpResponse(headers={"Vary": vary})) == expected


@pytest.mark.parametrize(
    ("cookie", "others"), [("theme", frozenset()), ("django_language", {"HTTP_COOKIE"})]
)
def test_a_cookie_that_was_read_explains_vary(cookie: str, others: frozenset[str]) -> None:
    def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse(request.COOKIES.get(cookie), headers={"Vary": "Cookie"})

    assert varies(view) == Varies(meta=frozenset(others), cookies=frozenset({cookie}))


# --- where ---


def test_reads_in_a_template_are_seen_when_it_is_rendered() -> None:
    template = engines["django"].from_string("{{ request.COOKIES.theme }}")

    def view(request: HttpRequest) -> HttpResponse:
        return TemplateResponse(request, template)

    found = varies(view, cookie="theme=dark")
    assert "theme" in found.cookies


async def _ask(runner: PoolRunner, call: Call) -> Recorder:
    recorder = Recorder()
    runner.start(call, contextvars.copy_context(), recorder)
    return await recorder.wait()


async def test_reads_in_threads_of_an_async_view_are_seen(
    runner: PoolRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    main, seen = threading.get_ident(), []

    async def view(request: HttpRequest) -> HttpResponse:
        def read() -> str | None:
            seen.append(threading.get_ident())
            return request.COOKIES.get("theme")

        return HttpResponse(await sync_to_async(read)())

    monkeypatch.setattr(ViewedCall, "is_async", True, raising=False)
    recorder = await _ask(runner, call_of(view, cookie="theme=dark"))
    assert recorder.reply.varies == Varies(cookies=frozenset({"theme"}))
    assert seen != [main]


async def test_the_head_of_a_stream_says_what_it_depended_on(runner: PoolRunner) -> None:
    def view(request: HttpRequest) -> StreamingHttpResponse:
        return StreamingHttpResponse([request.COOKIES.get("theme", "").encode()])

    recorder = await _ask(runner, call_of(view, cookie="theme=dark"))
    assert recorder.heads[0].varies == Varies(cookies=frozenset({"theme"}))


_place: contextvars.ContextVar[str] = contextvars.ContextVar("place", default="nowhere")


@pytest.mark.parametrize("is_async", [False, True])
async def test_the_beginning_is_in_the_context_of_the_request(
    runner: PoolRunner, is_async: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse(_place.get())

    async def aview(request: HttpRequest) -> HttpResponse:
        return view(request)

    monkeypatch.setattr(ViewedCall, "is_async", is_async, raising=False)
    call = call_of(aview if is_async else view)
    call.observed = Observed(lambda: _place.set("here"))
    assert (await _ask(runner, call)).text == "here"
    assert _place.get() == "nowhere"


def test_who_does_not_watch_has_a_plain_request() -> None:
    kinds = []

    def view(request: HttpRequest) -> HttpResponse:
        kinds.extend([type(request), type(request.META), type(request.session).__mro__[1].__name__])
        return HttpResponse()

    call = call_of(view)
    call.observed = None
    assert answer(call).varies is None
    assert kinds == [SocketRequest, dict, "SessionBase"]


def test_what_could_not_become_a_request_depends_on_nothing() -> None:
    headers = {"content-type": "text/plain; charset*=nonsense''%FF"}
    call = call_of(None, headers=None)
    call.message.headers = headers
    reply = Call.request(call)
    assert isinstance(reply, Reply)
    assert (reply.status, reply.varies) == (400, Varies())


# --- likeness ---


def alike(varies: Varies, one: dict[str, Any], other: dict[str, Any]) -> bool:
    first, second = likeness(varies, call_of(**one)), likeness(varies, call_of(**other))
    assert first == likeness(varies, call_of(**one)) or varies.alone
    assert (hash(first) == hash(second)) or first != second
    return first == second


@pytest.mark.parametrize(
    ("varies", "one", "other", "expected"),
    [
        (Varies(), {}, {"port": 6000}, True),
        (Varies(), {"cookie": "a=1"}, {"cookie": "a=2"}, True),
        (Varies(), {"token": "a"}, {"token": "b"}, True),
        (Varies(), {"headers": {"authorization": "a"}}, {}, True),
        (Varies(), {"url": "/view/?a"}, {"url": "/view/?b"}, False),
        (Varies(), {"data": {"a": 1}}, {"data": {"a": 2}}, False),
        (Varies(), {"headers": {"host": "localhost"}}, {}, False),
        (Varies(), {"codec": MsgpackCodec()}, {}, False),
        (meta("HTTP_COOKIE"), {"cookie": "a=1"}, {"cookie": "a=1"}, True),
        (meta("HTTP_COOKIE"), {"cookie": "a=1"}, {"cookie": "a=2"}, False),
        (Varies(identity=True), {"cookie": "a=1"}, {"cookie": "a=2"}, True),
        (Varies(identity=True), {"cookie": "sessionid=1"}, {"cookie": "sessionid=2"}, False),
        (Varies(identity=True), {"cookie": "sessionid=1"}, {"cookie": "a=1; sessionid=1"}, True),
        (Varies(identity=True), {"token": "a"}, {"token": "b"}, False),
        (Varies(identity=True), {"headers": {"authorization": "a"}}, {}, False),
        (Varies(cookies=frozenset("a")), {"cookie": "a=1; b=1"}, {"cookie": "b=2; a=1"}, True),
        (Varies(cookies=frozenset("a")), {"cookie": "a=1"}, {"cookie": "b=1"}, False),
        (Varies(cookies=frozenset("a")), {"cookie": "a="}, {"cookie": ""}, False),
        (meta("REMOTE_ADDR"), {}, {}, True),
        (meta("x.key"), {"meta": {"x.key": 1}}, {"meta": {"x.key": 1}}, True),
        (meta("x.key"), {"meta": {"x.key": 1}}, {"meta": {"x.key": True}}, False),
        (meta("x.key"), {"meta": {"x.key": 1}}, {}, False),
        (Varies(alone=True), {}, {}, False),
    ],
)
def test_likeness(varies: Varies, one: Any, other: Any, expected: bool) -> None:
    assert alike(varies, one, other) is expected


@pytest.mark.parametrize(
    ("found", "expected"), [(Varies(), True), (meta("HTTP_TRACEPARENT"), False)]
)
def test_traces_tell_apart_only_where_they_are_read(found: Varies, expected: bool) -> None:
    one, other = call_of(), call_of()
    one.message.headers = {"traceparent": "00-1"}
    other.message.headers = {"traceparent": "00-2"}
    assert (likeness(found, one) == likeness(found, other)) is expected


def test_headers_of_the_message_always_tell_apart_and_authorization_as_a_token_does() -> None:
    one, other = call_of(), call_of()
    one.message.headers = {"x-tenant": "a"}
    assert likeness(Varies(), one) != likeness(Varies(), other)
    one.message.headers = {"authorization": "a"}
    assert likeness(Varies(), one) == likeness(Varies(), other)
    assert likeness(Varies(identity=True), one) != likeness(Varies(identity=True), other)


def test_what_can_not_be_compared_is_its_connections_own() -> None:
    one, other = call_of(meta={"x.key": [1]}), call_of(meta={"x.key": [1]})
    key = likeness(meta("x.key"), one)
    assert isinstance(key, Hashable)
    assert key == likeness(meta("x.key"), one)
    assert key != likeness(meta("x.key"), other)
    assert likeness(Varies(alone=True), one) == likeness(Varies(alone=True), one)


# --- the promise ---

LANGUAGES = ["", "de", "fr"]
connections = st.fixed_dictionaries(
    {
        "cookie": st.lists(
            st.sampled_from(
                [
                    *("theme=dark", "theme=light", "django_language=de", "b=1"),
                    *("sessionid=aaaaaaaaaa", "sessionid=bbbbbbbbbb"),
                    *("csrftoken=" + "a" * 32, "csrftoken=" + "b" * 32),
                ]
            ),
            max_size=2,
        ).map("; ".join),
        "headers": st.fixed_dictionaries(
            {},
            optional={
                "accept-language": st.sampled_from(["de", "fr"]),
                "user-agent": st.sampled_from(["x", "y"]),
                "authorization": st.sampled_from(["JWT a", "JWT b"]),
                "x-forwarded-for": st.sampled_from(["1.1.1.1", "2.2.2.2"]),
            },
        ),
        "port": st.sampled_from([1, 2]),
    }
)

READS: dict[str, Callable[[Any], Any]] = {
    "meta get": lambda r: r.META.get("HTTP_ACCEPT_LANGUAGE"),
    "meta in": lambda r: "HTTP_X_FORWARDED_FOR" in r.META,
    "meta item": lambda r: r.META["REMOTE_ADDR"],
    "meta port": lambda r: r.META["REMOTE_PORT"],
    "meta iteration": lambda r: sorted(r.META),
    "meta copy": lambda r: r.META.copy().get("HTTP_USER_AGENT"),
    "meta cookie": lambda r: r.META.get("HTTP_COOKIE"),
    "header": lambda r: r.headers.get("user-agent"),
    "headers": lambda r: dict(r.headers),
    "authorization": lambda r: r.headers.get("Authorization"),
    "cookie": lambda r: r.COOKIES.get("theme"),
    "cookie in": lambda r: "b" in r.COOKIES,
    "cookies": lambda r: dict(r.COOKIES),
    "csrf cookie": lambda r: r.COOKIES.get("csrftoken"),
    "csrf": lambda r: r.META.get("CSRF_COOKIE"),
    "session": lambda r: r.session.get("x", "none"),
    "session key": lambda r: r.session.session_key,
    "session empty": lambda r: r.session.is_empty(),
    "user": lambda r: str(r.user),
    "language": lambda r: translation.get_language(),
    "connection": lambda r: r.websocket.id,
    "client": lambda r: r.scope["client"],
    "host": lambda r: r.build_absolute_uri(),
}


def program_of(steps: list[tuple[str, str]]) -> View:
    """A view that reads one thing or the other by what it has found."""

    def view(request: HttpRequest) -> HttpResponse:
        found: list[Any] = []
        for names in steps:
            name = names[len(json.dumps(found)) % 2]
            found.append(READS[name](request))
        return HttpResponse(json.dumps(found), headers={"Content-Type": "application/json"})

    return view


names = st.sampled_from(sorted(READS))
steps_of_views = st.lists(
    st.tuples(names, names) | names.map(lambda name: (name, name)), max_size=2
)


@st.composite
def two_connections(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    """Most often they differ in one thing."""
    one, other = draw(connections), draw(connections)
    kept = draw(st.sampled_from([["headers", "port"], ["headers", "port"], ["cookie", "port"], []]))
    return one, {**other, **{name: one[name] for name in kept}}


def test_whose_calls_are_alike_would_be_answered_alike() -> None:
    # Middleware is made anew for other settings: once is enough.
    with override_settings(SESSION_ENGINE=SIGNED, MIDDLEWARE=WITH_LOCALE):
        compare_answers()


@hypothesis_settings(max_examples=400, deadline=None)
@given(steps=steps_of_views, pair=two_connections())
def compare_answers(
    steps: list[tuple[str, str]], pair: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    one, other = pair
    view = program_of(steps)
    first, second = call_of(view, **one), call_of(view, **other)
    reply = answer(first)
    assert reply.varies is not None
    if likeness(reply.varies, first) == likeness(reply.varies, second):
        assert body(answer(second)) == body(reply)


WITH_LOCALE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    LOCALE,
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
