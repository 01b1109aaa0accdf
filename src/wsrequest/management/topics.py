"""What the commands have in common: topics, the brokers that carry them, and what is said where that fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import unquote

from django.core.management.base import CommandError
from django.urls import Resolver404, get_script_prefix, resolve

from wsrequest.errors import BrokerUnavailable, ConfigurationError
from wsrequest.push.brokers import broker_of
from wsrequest.push.brokers.base import Broker, Position
from wsrequest.push.brokers.memory import MemoryBroker
from wsrequest.push.naming import topic_at
from wsrequest.push.topics import options_of


def topic_of_argument(url: str) -> str:
    """The topic of a URL on the command line. Raises CommandError for what is none."""
    try:
        return topic_at(url, "URL")
    except ValueError as error:
        raise CommandError(str(error)) from error


def shared_broker(topic: str) -> Broker:
    """The broker of the topic. Raises CommandError where what is said in this process stays in it."""
    alias = options_of(topic).broker
    broker = broker_of(alias)
    if isinstance(broker, MemoryBroker):
        raise CommandError(
            f"The broker {alias!r}, which carries {topic}, is a MemoryBroker: events stay in the process that publishes"
            " them, and this one has no connections. Choose a broker that processes share, in WSREQUEST['BROKERS']."
        )
    return broker


@contextmanager
def broker_errors() -> Iterator[None]:
    """What goes wrong with the broker, as a CommandError."""
    try:
        yield
    except ConfigurationError as error:
        raise CommandError(str(error)) from error
    except BrokerUnavailable as error:
        cause = error.__cause__
        why = "" if cause is None else f" ({str(cause) or type(cause).__name__})"
        raise CommandError(f"{error}{why}") from error


def is_known(topic: str) -> bool:
    """Whether the project has such a URL. One that it has not is most often a slip of the pen."""
    if topic[0] == "@":
        return True
    try:
        resolve("/" + unquote(topic).removeprefix(get_script_prefix()))
    except Resolver404:
        return False
    return True


def unknown(topic: str) -> str:
    """What is said where it has not."""
    return f"No URL of this project matches {topic}."


def written(position: Position) -> str:
    """``epoch:offset``, as ``wswatch --since`` reads it."""
    return f"{position.epoch}:{position.offset}"
