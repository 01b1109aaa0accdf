"""What brokers carry: an event of a topic, and what is said in passing. Encoded once, by who says it."""

from __future__ import annotations

import msgspec
from msgspec import Raw, Struct


class Publication(Struct, omit_defaults=True, gc=False):
    """An event. ``data`` is JSON text; ``to`` are the primary keys, as strings, of the users for whom it is (None: for
    every subscriber)."""

    event: str
    data: Raw
    to: frozenset[str] | None = None


class Touched(Struct, tag="touch", tag_field="is", gc=False):
    """Of a topic: what its GET answers has changed."""


class Joined(Struct, tag="join", tag_field="is", omit_defaults=True, gc=False):
    """Of a topic: somebody is there now. ``member`` is JSON text, as subscribers are told it; ``by`` tells the event
    loop that says so from others, which have to be told."""

    member: Raw
    by: str = ""


class Left(Struct, tag="leave", tag_field="is", omit_defaults=True, gc=False):
    """Of a topic: somebody is there no more."""

    member: Raw
    by: str = ""


class Noticed(Struct, tag="notice", tag_field="is", omit_defaults=True, gc=False):
    """To connections: those of a user, one, or with neither all of them."""

    event: str
    data: Raw
    user: str | None = None
    connection: str | None = None


class Dismissed(Struct, tag="disconnect", tag_field="is", omit_defaults=True, gc=False):
    """To connections, those of a user or one: they are to be closed with this code."""

    code: int
    user: str | None = None
    connection: str | None = None


class Posted(Struct, tag="post", tag_field="is", omit_defaults=True, gc=False):
    """To one connection: a frame from its client, which came to another process. ``key`` is what the client knows it
    by, ``cookie`` a digest of the session cookie that came along."""

    key: str
    frame: bytes
    cookie: str = ""


class Written(Struct, tag="written", tag_field="is", gc=False):
    """To live queries: these rows have changed. Tables as :mod:`wsrequest.push.rows` names them, with the primary keys
    that are known; None: any row may have."""

    tables: dict[str, list[str] | None]


class LiveAsked(Struct, tag="live?", tag_field="is", gc=False):
    """To all processes: tell of so many live GETs, in passing, at this topic."""

    topic: str
    most: int


Word = Touched | Joined | Left | Noticed | Dismissed | Posted | Written | LiveAsked

_encoder = msgspec.json.Encoder()
_publications = msgspec.json.Decoder(Publication)
_words = msgspec.json.Decoder(Word)


def encoded(said: Publication | Word) -> bytes:
    """As brokers carry it."""
    return _encoder.encode(said)


def publication_in(payload: bytes) -> Publication:
    """Raises ValueError for what is none."""
    return _publications.decode(payload)


def word_in(payload: bytes) -> Word:
    """Raises ValueError for what is none."""
    word: Word = _words.decode(payload)
    return word
