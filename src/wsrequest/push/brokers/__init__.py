"""``WSREQUEST["BROKERS"]``: an alias for each broker, made when it is first used, once for the whole process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.utils.module_loading import import_string

from wsrequest.conf import get_settings, when_changed
from wsrequest.errors import ConfigurationError
from wsrequest.push.brokers.base import Broker

DEFAULT = "default"

_brokers: dict[str, Broker] = {}
_making = threading.Lock()
#: The last one makes all brokers; where there is none, they are as configured.
_factories: list[Callable[[], Broker]] = []
_to_be_told: list[Callable[[], None]] = []


def broker_of(alias: str = DEFAULT) -> Broker:
    """The broker of this alias. Raises :class:`~wsrequest.errors.ConfigurationError` where there is none, or where it
    can't be made from its OPTIONS."""
    broker = _brokers.get(alias)
    if broker is None:
        with _making:
            broker = _brokers.get(alias) or _made(alias)
            _brokers[alias] = broker
    return broker


def when_forgotten(tell: Callable[[], None]) -> Callable[[], None]:
    """Call this whenever brokers are made anew. Can be used as a decorator."""
    _to_be_told.append(tell)
    return tell


@contextmanager
def made_by(factory: Callable[[], Broker]) -> Iterator[None]:
    """Have all brokers of this process made by ``factory``, whatever is configured: for tests."""
    _factories.append(factory)
    _forget()
    try:
        yield
    finally:
        _factories.remove(factory)
        _forget()


def _made(alias: str) -> Broker:
    configured = get_settings().brokers.get(alias)
    if configured is None:
        raise ConfigurationError(f"WSREQUEST['BROKERS'] has no {alias!r}.")
    if _factories:
        return _factories[-1]()
    try:
        broker = import_string(configured["BACKEND"])(**configured.get("OPTIONS", {}))
    except (ImportError, TypeError, ValueError) as error:
        raise ConfigurationError(
            f"WSREQUEST['BROKERS'][{alias!r}] can't be used: {error}"
        ) from error
    if not isinstance(broker, Broker):
        raise ConfigurationError(
            f"WSREQUEST['BROKERS'][{alias!r}]['BACKEND'] is not a subclass of"
            " wsrequest.push.brokers.base.Broker."
        )
    return broker


@when_changed
def _forget() -> None:
    with _making:
        forgotten = list(_brokers.values())
        _brokers.clear()
    for tell in _to_be_told:
        tell()
    for broker in forgotten:
        broker.close()
