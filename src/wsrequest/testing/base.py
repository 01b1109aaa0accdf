"""What the two clients for tests have in common."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from http.cookies import SimpleCookie
from typing import Any, Generic, TypeVar, cast
from urllib.parse import urljoin, urlsplit

from django.http.request import HttpHeaders
from django.test.client import ClientMixin, RedirectCycleError

from wsrequest.testing.connection import Connection, Notice
from wsrequest.testing.messages import handshake_for, message_for
from wsrequest.testing.response import REDIRECTS, AnyResponse, response_for
from wsrequest.testing.stage import AroundTest, BesideTest
from wsrequest.testing.stream import Parts
from wsrequest.testing.subscription import Event, Subscription

Answer = TypeVar("Answer")
Subscribed = TypeVar("Subscribed")
Events = TypeVar("Events")
Notices = TypeVar("Notices")
Code = TypeVar("Code")
Nothing = TypeVar("Nothing")

#: Redirects that are followed, as in Django's client.
MOST_REDIRECTS = 20


class BaseClient(ClientMixin, Generic[Answer, Subscribed, Events, Notices, Code, Nothing]):
    """What both clients are: methods that make coroutines, and :meth:`_run`, which makes results of them."""

    _parts: type[Parts]

    def __init__(
        self,
        *,
        headers: Mapping[str, str] | None = None,
        token: str | None = None,
        secure: bool = False,
        enforce_csrf_checks: bool = False,
        raise_request_exception: bool = True,
        **defaults: Any,
    ) -> None:
        """What is given here is said in the handshake, and holds for all messages: ``headers``, ``token`` (as a browser
        says it, by a subprotocol), ``secure`` (wss), and as keys of META ``HTTP_...``, ``REMOTE_ADDR``,
        ``SERVER_NAME``, ``SERVER_PORT`` and ``SCRIPT_NAME``.

        With ``enforce_csrf_checks`` the handshake bears no Origin: unsafe messages then need a CSRF token, as those of
        clients that are no browsers. With ``raise_request_exception=False`` a view's exception is answered by a 500.
        """
        self.defaults: dict[str, Any] = dict(defaults)
        if headers:
            self.defaults.update(HttpHeaders.to_wsgi_names(headers))
        if secure:
            self.defaults["wsgi.url_scheme"] = "https"
        self.token = token
        self.enforce_csrf_checks = enforce_csrf_checks
        self.raise_request_exception = raise_request_exception
        self.cookies: SimpleCookie = SimpleCookie()
        self._connection: Connection | None = None
        self._connected_with: dict[str, str] = {}
        self._subscriptions: list[Subscription[Any, Any, Any]] = []
        self._close_code: int | None = None

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        raise NotImplementedError

    # Requests.

    def get(self, path: str, data: Any = None, **options: Any) -> Answer:
        """``data`` becomes the query. ``options``: see :meth:`request`."""
        return self.request("GET", path, data, **options)

    def head(self, path: str, data: Any = None, **options: Any) -> Answer:
        return self.request("HEAD", path, data, **options)

    def options(self, path: str, data: Any = None, **options: Any) -> Answer:
        return self.request("OPTIONS", path, data, **options)

    def post(
        self, path: str, data: Any = None, content_type: str | None = None, **options: Any
    ) -> Answer:
        """``data`` goes as JSON, unless ``content_type`` is that of a form: then it may have files."""
        return self.request("POST", path, data, content_type=content_type, **options)

    def put(
        self, path: str, data: Any = None, content_type: str | None = None, **options: Any
    ) -> Answer:
        return self.request("PUT", path, data, content_type=content_type, **options)

    def patch(
        self, path: str, data: Any = None, content_type: str | None = None, **options: Any
    ) -> Answer:
        return self.request("PATCH", path, data, content_type=content_type, **options)

    def delete(
        self, path: str, data: Any = None, content_type: str | None = None, **options: Any
    ) -> Answer:
        return self.request("DELETE", path, data, content_type=content_type, **options)

    def request(
        self,
        method: str,
        path: str,
        data: Any = None,
        *,
        content_type: str | None = None,
        follow: bool = False,
        headers: Mapping[str, str] | None = None,
        query_params: Mapping[str, Any] | None = None,
        **extra: Any,
    ) -> Answer:
        """Send a message, and wait for its answer.

        ``extra`` are further fields of the message (``token``, ``key``, ``timeout``), or headers as ``HTTP_...``.
        Raises what the view raises, and ``wsrequest.errors.HandshakeRefused`` where no connection is let in.
        """
        message = message_for(
            self.defaults, method, path, data, content_type, headers, query_params, extra
        )
        result: Answer = self._run(self._request(message, follow=follow))
        return result

    def auth(self, token: str | None) -> Answer:
        """The connection's token from now on, or none. Answered 204."""
        result: Answer = self._run(self._request({"auth": token}))
        return result

    # Subscriptions.

    def subscribe(
        self,
        path: str,
        data: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        query_params: Mapping[str, Any] | None = None,
        **extra: Any,
    ) -> Subscribed:
        """Subscribe to a url. Whether the server has accepted that, its ``response`` says. ``extra`` may have
        ``since``, ``presence``, and what :meth:`request` takes."""
        message = message_for(
            self.defaults, "SUBSCRIBE", path, data, None, headers, query_params, extra
        )
        result: Subscribed = self._run(self._subscribe(message))
        return result

    def live(self, path: str, data: Any = None, **options: Any) -> Subscribed:
        """:meth:`subscribe` to what a GET answers, which is kept up to date."""
        return self.subscribe(path, data, live=True, **options)

    def events(self) -> Events:
        """What all subscriptions have heard since this was asked last, one subscription after the other."""
        result: Events = self._run(self._events())
        return result

    def notices(self) -> Notices:
        """What was said to this connection since this was asked last, by ``notify()``."""
        result: Notices = self._run(self._notices())
        return result

    # The connection.

    def connect(self) -> Nothing:
        """Connect now, rather than with the first message. Raises ``wsrequest.errors.HandshakeRefused``."""
        result: Nothing = self._run(self._connect())
        return result

    def disconnect(self) -> Nothing:
        """Close the connection, if there is one; the next message opens another. Returns when the server knows."""
        result: Nothing = self._run(self._disconnect())
        return result

    def close_code(self) -> Code:
        """With which code the server has closed the connection; None where it has not."""
        result: Code = self._run(self._closed())
        return result

    @property
    def connection_id(self) -> str | None:
        """What ``request.websocket.id`` is to views; None while there is no connection."""
        connection = self._connection
        return None if connection is None or connection.session is None else connection.session.id

    # All of the rest is for the loop.

    async def _request(self, message: dict[str, Any], *, follow: bool = False) -> AnyResponse:
        response = await self._exchange(message)
        if follow:
            response.redirect_chain = []
        while follow and response.status_code in REDIRECTS:
            chain = response.redirect_chain
            chain.append((response["location"], response.status_code))
            message = _redirected(message, response)
            response = await self._exchange(message)
            response.redirect_chain = chain
            if chain[-1] in chain[:-1] or len(chain) > MOST_REDIRECTS:
                raise RedirectCycleError(
                    "Redirect loop detected.", last_response=cast("Any", response)
                )
        return response

    async def _exchange(self, message: dict[str, Any]) -> AnyResponse:
        connection = await self._connect()
        exchange, said = await connection.ask(message)
        content_type = said.headers.get("content-type", "")
        parts = self._parts(connection, exchange, content_type, self._run) if said.more else None
        response: AnyResponse = response_for(said, message, exchange.record, parts)
        self._learn(response)
        return response

    def _learn(self, response: AnyResponse) -> None:
        response.client = self
        if response.cookies:
            self.cookies.update(response.cookies)
            self._connected_with = self._sent_cookies()  # the connection knows them, too
        if response.exc_info and self.raise_request_exception:
            raise response.exc_info[1]

    async def _subscribe(self, message: dict[str, Any]) -> Subscription[Any, Any, Any]:
        connection = await self._connect()
        exchange, said = await connection.ask(message)
        response = response_for(said, message, exchange.record, None)
        subscription: Subscription[Any, Any, Any] = Subscription(
            connection, exchange, said, response, self._run
        )
        if subscription.accepted:
            self._subscriptions.append(subscription)
        self._learn(response)
        return subscription

    async def _events(self) -> list[Event]:
        return [event for each in self._subscriptions for event in await each.read()]

    async def _notices(self) -> list[Notice]:
        connection = await self._connect()
        await connection.settle()
        notices = list(connection.notices)
        connection.notices.clear()
        return notices

    async def _closed(self) -> int | None:
        if self._connection is not None:
            await self._connection.settle()
            self._close_code = self._connection.close_code
        return self._close_code

    async def _connect(self) -> Connection:
        """The connection, anew where the server has closed it, or where the client has got other cookies since: its
        page would be loaded again."""
        connection, cookies = self._connection, self._sent_cookies()
        if connection is not None and (connection.close_code or cookies != self._connected_with):
            await self._disconnect()
            connection = None
        if connection is None:
            connection = await self._open()
            self._connected_with = cookies
        return connection

    async def _open(self) -> Connection:
        raise NotImplementedError

    async def _opened(self, stage: BesideTest | AroundTest) -> Connection:
        connection = Connection(stage.runner)
        await connection.open(
            handshake_for(
                self.defaults,
                self.cookies,
                token=self.token,
                with_origin=not self.enforce_csrf_checks,
            )
        )
        stage.enter()
        self._connection, self._close_code = connection, None
        return connection

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        self._subscriptions.clear()
        if connection is not None:
            await connection.close()
            self._close_code = connection.close_code
            self._left()

    def _left(self) -> None:
        """There is no connection any more."""
        raise NotImplementedError

    def _sent_cookies(self) -> dict[str, str]:
        return {name: morsel.coded_value for name, morsel in self.cookies.items()}


def _redirected(message: dict[str, Any], response: AnyResponse) -> dict[str, Any]:
    """The message that follows a redirect, as a browser would send it."""
    url = urlsplit(urljoin(message["url"], response["location"]))
    target = f"{url.path or '/'}{'?' if url.query else ''}{url.query}"
    if response.status_code in (307, 308):
        return {**message, "url": target}
    kept = {key: value for key, value in message.items() if key not in ("data", "encoding", "key")}
    headers = {
        name: value for name, value in message.get("headers", {}).items() if name != "content-type"
    }
    return {**kept, "method": "GET", "url": target, "headers": headers}
