"""Every error that wsrequest raises or puts on the wire, as one tree.

::

    WSRequestError
    ├── MessageError            a message that never became a request: answered, with ``status``
    │   ├── InvalidMessage        400  not JSON, or not an object
    │   ├── MissingURL            400  no ``url``
    │   ├── InvalidField          400  ``field`` and what is wrong with it
    │   ├── TooDeep               400  nested past MAX_DEPTH
    │   ├── TooManyKeys           400  an object with more than MAX_KEYS
    │   ├── DuplicateId           409  an id that is still in flight
    │   ├── MessageTooLarge       413  a frame past MAX_MESSAGE_BYTES
    │   ├── RateLimited           429  past MESSAGES_PER_SECOND; ``retry_after``
    │   └── GoingAway             503  this server shuts down; ``retry_after``
    ├── ExchangeError           a request that was not answered by its view
    │   ├── KeyBusy               409  the first request with this ``key`` still runs; ``retry_after``
    │   ├── KeyReused             422  this ``key`` was used for another request
    │   ├── TooManySubscriptions  429  past MAX_SUBSCRIPTIONS
    │   ├── TooManyLive           429  past MAX_LIVE
    │   ├── Cancelled             499  the client sent ``cancel``
    │   ├── NotWatchable          501  SUBSCRIBE to a url that answers with a stream
    │   ├── NotLive               501  ``live`` for a url that may not be
    │   ├── ViewFailed            500  an exception got past Django's own handling
    │   ├── TooManyLiveAudiences  503  past MAX_LIVE_AUDIENCES
    │   ├── ShutDown              503  the server shut down before there was an answer
    │   ├── BrokerUnavailable     503  the broker that carries events does not answer
    │   └── TimedOut              504  no answer began within ``timeout`` or REQUEST_TIMEOUT
    ├── HandshakeRefused        the WebSocket was not opened: an HTTP ``status`` or a ``close_code``
    │   ├── OriginRefused         403 / 4003
    │   ├── HostRefused           403 / 4003
    │   ├── PathUnknown           404 / 4003
    │   ├── HookRefused           as the hook said / 4003
    │   ├── NoCommonVersion       400 / 4001
    │   ├── BadToken              400 / 4000
    │   ├── TooManyConnections    503 / 4101
    │   ├── HandshakeTimedOut     503 / 4100
    │   └── ServerLeaving         503 / 4200
    ├── StreamTooLong           502  a stream past MAX_OUTBOX_BYTES, over Socket.IO: it comes there in one piece
    └── ConfigurationError      the WSREQUEST setting is wrong

The facts are attributes; the sentence is ``str(error)``, says what to do, and never holds an exception's
text or anything else that the peer should not read.
"""

from __future__ import annotations

from typing import Any, ClassVar


class WSRequestError(Exception):
    """The root of the tree.

    ``status`` is the HTTP status, ``code`` the name that programs test, ``close_code`` the WebSocket close
    code where the error ends the connection, ``retry_after`` the seconds after which another try makes sense.
    """

    status: int = 500
    code: ClassVar[str] = "internal_error"
    close_code: ClassVar[int | None] = None
    sentence: ClassVar[str] = "Something went wrong on the server."
    retry_after: int | None = None

    def __str__(self) -> str:
        return self.sentence

    def facts(self) -> dict[str, Any]:
        """What goes on the wire beside ``error`` and ``code``."""
        return {}

    def as_data(self) -> dict[str, Any]:
        """The ``data`` of the response that reports this error: ``{"error", "code", ...facts}``."""
        return {"error": str(self), "code": self.code, **self.facts()}


class MessageError(WSRequestError):
    """A message that never became a request. ``id`` is that of the message, where it had a usable one."""

    status = 400
    code = "invalid_message"

    def __init__(self, id: int | str | None = None) -> None:
        super().__init__(id)
        self.id = id


class InvalidMessage(MessageError):
    """The frame is not JSON, or the message is not an object."""

    sentence = "Invalid formatted message."


class MissingURL(MessageError):
    """The message has no ``url``."""

    code = "missing_url"
    sentence = "Missing URL"


class InvalidField(MessageError):
    """One field has the wrong type or a forbidden value: ``field`` and ``problem``."""

    code = "invalid_field"

    def __init__(self, field: str, problem: str, id: int | str | None = None) -> None:
        super().__init__(id)
        self.field = field
        self.problem = problem

    def __str__(self) -> str:
        return f"Invalid {self.field}: {self.problem}"

    def facts(self) -> dict[str, Any]:
        return {"field": self.field}


class _PastLimit(WSRequestError):
    def __init__(self, limit: int, *id: int | str | None) -> None:
        super().__init__(*id)
        self.limit = limit

    def __str__(self) -> str:
        return self.sentence.format(limit=self.limit)

    def facts(self) -> dict[str, Any]:
        return {"limit": self.limit}


class TooDeep(_PastLimit, MessageError):
    """Nested deeper than ``limit``; the message itself counts as 1."""

    code = "too_deep"
    sentence = "The message is nested deeper than {limit} levels."


class TooManyKeys(_PastLimit, MessageError):
    """An object in the message has more than ``limit`` keys."""

    code = "too_many_keys"
    sentence = "An object in the message has more than {limit} keys."


class MessageTooLarge(_PastLimit, MessageError):
    """The frame has more than ``limit`` bytes."""

    status = 413
    code = "message_too_large"
    sentence = "The message is larger than {limit} bytes; send large bodies over HTTP."


class DuplicateId(MessageError):
    """``duplicate`` is the id of an exchange that has not ended; that one goes on untouched."""

    status = 409
    code = "duplicate_id"
    sentence = "An exchange with this id has not ended yet; choose another id."

    def __init__(self, duplicate: int | str) -> None:
        super().__init__(None)
        self.duplicate = duplicate

    def facts(self) -> dict[str, Any]:
        return {"id": self.duplicate}


class _Later(MessageError):
    def __init__(self, retry_after: int, id: int | str | None = None) -> None:
        super().__init__(id)
        self.retry_after = retry_after


class RateLimited(_Later):
    """More messages than MESSAGES_PER_SECOND, and MESSAGE_BURST is used up."""

    status = 429
    code = "rate_limited"
    sentence = "Too many messages; wait for the seconds in retry-after."


class GoingAway(_Later):
    """This server shuts down and starts no request any more."""

    status = 503
    code = "going_away"
    sentence = "This server is shutting down; connect again and repeat the request."


class ExchangeError(WSRequestError):
    """A request that its view did not answer."""


class ViewFailed(ExchangeError):
    """An exception that Django's own handling let through (DEBUG_PROPAGATE_EXCEPTIONS, ``sys.exit``...)."""


class Cancelled(ExchangeError):
    """The client cancelled this exchange."""

    status = 499
    code = "cancelled"
    sentence = "The request was cancelled."


class KeyBusy(ExchangeError):
    """A repeat has waited for the answer to the first request with its ``key``, and that has none yet. Either it still
    runs, or its process died in it: then nobody knows what it did, and the key stays taken for IDEMPOTENCY_TTL."""

    status = 409
    code = "key_busy"
    sentence = "The first request with this key has no answer yet; repeat later, with the same key."
    retry_after = 5


class KeyReused(ExchangeError):
    """A key stands for one request: another method, url or body needs another key."""

    status = 422
    code = "key_reused"
    sentence = "This key was used for another request; choose another key."


class TooManySubscriptions(ExchangeError):
    """This connection has MAX_SUBSCRIPTIONS already."""

    status = 429
    code = "too_many_subscriptions"
    sentence = "This connection has as many subscriptions as it may have; cancel one first."


class TooManyLive(ExchangeError):
    """This connection has MAX_LIVE live subscriptions already."""

    status = 429
    code = "too_many_live"
    sentence = "This connection has as many live subscriptions as it may have; cancel one first."


class TooManyLiveAudiences(ExchangeError):
    """This process keeps MAX_LIVE_AUDIENCES answers up to date already."""

    status = 503
    code = "too_many_live_audiences"
    sentence = "As many answers are kept live as may be; subscribe without live, or try again."
    retry_after = 10


class NotLive(ExchangeError):
    """The project does not keep this url's answer up to date: LIVE, or its view's ``@live(False)``."""

    status = 501
    code = "not_live"
    sentence = "This url is not kept up to date; subscribe without live."


class NotWatchable(ExchangeError):
    """The view answered SUBSCRIBE with a stream, which can't be the present state of anything."""

    status = 501
    code = "not_watchable"
    sentence = "This url answers with a stream, which can't be subscribed to; send a GET."


class BrokerUnavailable(ExchangeError):
    """The broker that carries events did not take, or did not give, what was asked for in time."""

    status = 503
    code = "broker_unavailable"
    sentence = "The broker that carries events does not answer; try again."
    retry_after = 1


class ShutDown(ExchangeError):
    """The server shut down, and its GRACE_TIME ended before the request did."""

    status = 503
    code = "shut_down"
    sentence = "The server shut down before the request was done."
    retry_after = 1


class TimedOut(ExchangeError):
    """The answer did not begin in time. A synchronous view can't be stopped: what it does, it may still have done."""

    status = 504
    code = "timeout"
    sentence = "The request took longer than its timeout."


class StreamTooLong(_PastLimit):
    """A stream of more than ``limit`` bytes, over a transport that has to put it together before it can answer."""

    status = 502
    code = "stream_too_long"
    sentence = (
        "The answer is a stream of more than {limit} bytes; ask for its pieces by `stream: true`,"
        " or for the whole over HTTP."
    )


class HandshakeRefused(WSRequestError):
    """The connection was not opened. ``status`` goes out before the upgrade where the server can do that,
    ``close_code`` where it can't."""

    status = 403
    code = "forbidden"
    close_code: ClassVar[int] = 4003


class OriginRefused(HandshakeRefused):
    """The Origin header is foreign: neither this host nor in CSRF_TRUSTED_ORIGINS."""

    code = "origin_refused"
    sentence = "This Origin may not open a WebSocket here; see CSRF_TRUSTED_ORIGINS."


class HostRefused(HandshakeRefused):
    """The Host header is not in ALLOWED_HOSTS."""

    code = "host_refused"
    sentence = "This Host is not served here; see ALLOWED_HOSTS."


class PathUnknown(HandshakeRefused):
    """A WebSocket was asked for at a path that is not ``WSREQUEST["PATH"]``."""

    status = 404
    code = "path_unknown"
    sentence = "There is no WebSocket at this path; see WSREQUEST['PATH']."


class HookRefused(HandshakeRefused):
    """The HANDSHAKE hook, or the middleware around it, answered with ``status``."""

    code = "refused"
    sentence = "The connection was refused."

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status if status >= 300 else 403  # 1xx is none


class BadToken(HandshakeRefused):
    """The subprotocol entry ``wsrequest.token.`` is not followed by base64url of a token."""

    status = 400
    code = "bad_token"
    close_code = 4000
    sentence = "The token among the subprotocols must be base64url of UTF-8 text."


class NoCommonVersion(HandshakeRefused):
    """The client offered subprotocols, and none that is spoken here."""

    status = 400
    code = "no_common_version"
    close_code = 4001
    sentence = "None of the offered subprotocols is spoken here."


class TooManyConnections(HandshakeRefused):
    """This process has MAX_CONNECTIONS open already, or MAX_CONNECTIONS_PER_ADDRESS from this address."""

    status = 503
    code = "too_many_connections"
    close_code = 4101
    sentence = "This server has as many connections as it may have; try again later."
    retry_after = 5


class HandshakeTimedOut(HandshakeRefused):
    """The HANDSHAKE hook and the middleware around it took longer than HANDSHAKE_TIMEOUT."""

    status = 503
    code = "handshake_timeout"
    close_code = 4100
    sentence = "The server took too long to open the connection; try again later."
    retry_after = 5


class ServerLeaving(HandshakeRefused):
    """This process is about to end: it opens no connection any more."""

    status = 503
    code = "server_leaving"
    close_code = 4200
    sentence = "This server is shutting down; connect again."
    retry_after = 1


class ConfigurationError(WSRequestError):
    """The WSREQUEST setting holds a value that cannot be used: ``problem`` names it."""

    code = "configuration"

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem

    def __str__(self) -> str:
        return self.problem
