"""Frames to messages and back, with the limits that keep a hostile frame cheap: what all codecs share.

One frame is one message or an array of messages, in both directions. A codec has no state: one instance
serves every connection.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol, TypeVar

import msgspec
from msgspec import Raw, UnsetType

from wsrequest.errors import (
    InvalidField,
    InvalidMessage,
    MessageError,
    MessageTooLarge,
    MissingURL,
    TooDeep,
)
from wsrequest.protocol.messages import (
    Asked,
    Auth,
    Cancel,
    ClientMessage,
    Happening,
    HeaderRules,
    Id,
    Ping,
    Pong,
    Request,
    Said,
    ServerMessage,
    checked,
)

T_co = TypeVar("T_co", covariant=True)

#: How bytes are told from text where a codec has no bytes of its own.
Encoding = Literal["base64"] | UnsetType


@dataclass(frozen=True, slots=True)
class Limits:
    """What one frame may cost: bytes, nesting levels (the message itself is 1), keys in one object.

    None means that there is no limit. ``header_rules`` says which headers a message may bear.
    """

    max_message_bytes: int | None = 1024 * 1024
    max_depth: int | None = 64
    max_keys: int | None = 10_000
    header_rules: HeaderRules = field(default_factory=HeaderRules)


class Decoder(Protocol[T_co]):
    """What msgspec's decoders have in common."""

    def decode(self, buf: bytes, /) -> T_co: ...


class _Identified(msgspec.Struct, gc=False):
    id: Id | None = None


class Codec(ABC):
    """One way to write the messages of ``PROTOCOL.md``, and the rules that hold for each of them."""

    name: ClassVar[Literal["json", "msgpack"]]
    subprotocol: ClassVar[str]
    #: Whether :meth:`splice` reads the body and writes it anew, which takes its time.
    rewrites_json: ClassVar[bool]

    _request: ClassVar[Decoder[Request]]
    _identified: ClassVar[Decoder[_Identified]]
    _names: ClassVar[Decoder[dict[str, Raw]]]
    _controls: ClassVar[dict[str, Decoder[Auth | Cancel | Ping | Pong]]]
    _said: ClassVar[Decoder[Said]]
    _all_said: ClassVar[Decoder[list[Said]]]

    def __init_subclass__(cls, decoder: Callable[[Any], Any]) -> None:
        """``decoder`` makes a msgspec decoder for a type."""
        cls._request = decoder(Request)
        cls._identified = decoder(_Identified)
        cls._names = decoder(dict[str, Raw])
        cls._controls = {
            "auth": decoder(Auth),
            "cancel": decoder(Cancel),
            "ping": decoder(Ping),
            "pong": decoder(Pong),
        }
        cls._said = decoder(Said)
        cls._all_said = decoder(list[Said])

    def decode(
        self, frame: str | bytes, limits: Limits, most: int | None = None
    ) -> Iterable[ClientMessage | MessageError]:
        """The frame's messages in their order, the first ``most`` of them; one that is refused stands there as its
        error.

        Raises nothing: a frame that can't be read at all is one error. The messages of an array are made one by one,
        as they are asked for.
        """
        try:
            data, is_array = self._opened(frame)
        except ValueError:
            return (InvalidMessage(),)
        maximum = limits.max_message_bytes
        if maximum is not None and len(data) > maximum:
            return (MessageTooLarge(maximum),)
        if not is_array:
            return (self._message(data, limits),)
        try:
            parts = self._parts(data)
        except ValueError:
            return (InvalidMessage(),)
        # A copy of those that are wanted: the rest may take many times the memory of the frame.
        return (self._message(bytes(part), limits) for part in parts[:most])

    def read(self, frame: str | bytes) -> list[Said]:
        """The messages of a server's frame. Raises :class:`~wsrequest.errors.InvalidMessage`."""
        try:
            data, is_array = self._opened(frame)
            return self._all_said.decode(data) if is_array else [self._said.decode(data)]
        except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
            raise InvalidMessage from None

    @abstractmethod
    def value(self, raw: Raw) -> Any:
        """What stands in a server's message, as Python has it. Raises ValueError."""

    @abstractmethod
    def json_text(self, raw: Raw) -> bytes:
        """The JSON that stands in a server's message, as text; where it is bytes, these."""

    @abstractmethod
    def encode(self, message: ServerMessage | Happening | Asked | Auth | Cancel | Ping) -> bytes:
        """One message."""

    def tail(self, happening: Happening) -> bytes:
        """What all subscribers are sent of an event, encoded once; each one's own :meth:`head` goes before it."""
        return self.encode(happening)[1:]

    @abstractmethod
    def head(self, id: Id, fields: int, skip: int = 0) -> bytes:
        """The beginning of the message whose :meth:`tail` has so many fields: the subscription's ``id``, and ``skip``
        where there is something to skip."""

    @abstractmethod
    def frame(self, messages: list[bytes]) -> str | bytes:
        """The frame that carries these encoded messages: one stands alone, several form an array."""

    @abstractmethod
    def splice(self, body: bytes) -> Raw | None:
        """A body that claims to be JSON as it stands in a message; None where the message can't say the same."""

    @abstractmethod
    def binary(self, body: bytes) -> tuple[str | bytes, Encoding]:
        """Any bytes as they stand in a message, and the ``encoding`` that goes with them."""

    @abstractmethod
    def _opened(self, frame: str | bytes) -> tuple[bytes, bool]:
        """The frame's bytes, and whether they begin an array. Raises ValueError for a frame of the wrong kind."""

    @abstractmethod
    def _parts(self, data: bytes) -> Sequence[Raw | bytes]:
        """The messages of an array. Raises ValueError where it is none."""

    @abstractmethod
    def _examined(self, part: bytes, request: Request, limits: Limits) -> Request:
        """The request with its ``data`` as JSON. Raises TooDeep, TooManyKeys and, for data that can't be JSON,
        InvalidField."""

    @abstractmethod
    def _unreadable(self, part: bytes, limits: Limits) -> ClientMessage | MessageError:
        """What becomes of a message that msgspec can't read."""

    @abstractmethod
    def _unreadable_id(self, part: bytes) -> int | str | None:
        """The id of such a message."""

    @abstractmethod
    def _leading_id(self, part: bytes) -> bytes | None:
        """A message of nothing but the id, where that stands first."""

    def _message(self, part: bytes, limits: Limits) -> ClientMessage | MessageError:
        try:
            request = self._examined(part, self._request.decode(part), limits)
            if request.url is None:
                return self._without_url(part, request)
            return checked(request, limits.header_rules)
        except MessageError as error:
            return error
        except msgspec.ValidationError as error:
            return _refusal(str(error), self._find_id(part))
        except (msgspec.DecodeError, UnicodeDecodeError):
            return self._unreadable(part, limits)
        except RecursionError:
            # Nested deeper than any reader here goes, whether or not there is a limit.
            found, depth = self._find_id(part), limits.max_depth
            return InvalidMessage(found) if depth is None else TooDeep(depth, found)

    def _without_url(self, part: bytes, request: Request) -> ClientMessage:
        names = self._names.decode(part)
        for name, decoder in self._controls.items():
            if name in names:
                return decoder.decode(part)
        raise MissingURL(request.id)

    def _find_id(self, part: bytes) -> int | str | None:
        """The id of a message that can't be read as a whole; where even skipping is too deep, an id that stands
        first."""
        try:
            return self._identified.decode(part).id
        except msgspec.ValidationError:
            return None
        except (msgspec.DecodeError, UnicodeDecodeError):
            return self._unreadable_id(part)
        except RecursionError:
            start = self._leading_id(part)
            return None if start is None else self._find_id(start)


_PLACE = re.compile(r" - at (?:`key` in )?`\$\.(\w+).*`$")


def _refusal(problem: str, id: int | str | None) -> MessageError:
    """msgspec's sentence ("Expected `str`, got `int` - at `$.url`") as ours."""
    place = _PLACE.search(problem)
    if place is None:
        return InvalidMessage(id)
    sentence = problem[: place.start()].replace("got `None`", "got `null`")  # as it says of JSON
    return InvalidField(place[1], sentence[:1].lower() + sentence[1:], id)
