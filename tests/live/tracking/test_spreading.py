"""Changes reach the broker: at once where it is in the process, by a thread of their own where it is not."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest
from django.test import override_settings

from tests.live.tracking.told import ToldBroker
from wsrequest.errors import BrokerUnavailable
from wsrequest.livequery import spreading
from wsrequest.livequery.interest import interest
from wsrequest.push.brokers import broker_of


class Away(ToldBroker):
    """A broker on the network: it waits, or does not answer."""

    within_process = False

    def __init__(self) -> None:
        super().__init__()
        self.is_there = True
        self.go = threading.Event()
        self.go.set()
        self.entered = threading.Event()
        self.threads: set[str] = set()

    def signal(self, topic, payload):
        self.threads.add(threading.current_thread().name)
        self.entered.set()
        self.go.wait()
        if not self.is_there:
            raise BrokerUnavailable
        super().signal(topic, payload)


class Counted:
    counts: list[str] = []

    def count(self, name, value=1, **labels):
        self.counts.append(name)

    gauge = gauge_add = observe = count


@pytest.fixture
def away():
    brokers = {"default": {"BACKEND": f"{__name__}.Away"}}
    with override_settings(WSREQUEST={"BROKERS": brokers, "METRICS": f"{__name__}.Counted"}):
        Counted.counts.clear()
        yield broker_of()
        assert spreading.flush()


def test_a_thread_tells_the_network_and_gathers_meanwhile(away):
    away.go.clear()
    spreading.spread({"a": {"1"}})
    away.entered.wait()
    spreading.spread({"a": {"2"}})
    spreading.spread({"a": {"3"}, "b": None})
    spreading.spread({"b": {"1"}})
    assert not spreading.flush(0)
    away.go.set()
    assert spreading.flush()
    assert away.told == [{"a": {"1"}}, {"a": {"2", "3"}, "b": None}]
    assert away.threads == {"wsrequest-spreading"}


def test_a_failure_is_logged_and_counted_once_and_loses_nothing(away, caplog, monkeypatch):
    monkeypatch.setattr(spreading, "AGAIN", 0.001)
    monkeypatch.setattr(spreading, "LONGEST_PAUSE", 0.001)
    away.is_there = False
    spreading.spread({"a": {"1"}})
    for _ in range(3):
        away.entered.wait()
        away.entered.clear()
    assert not spreading.flush(0)
    spreading.spread({"a": {"2"}})
    away.is_there = True
    assert spreading.flush()
    assert away.told == [{"a": {"1", "2"}}]
    assert Counted.counts == ["publish_failures"]
    assert [record.name for record in caplog.records] == ["wsrequest.push"]


def test_within_the_process_nothing_is_said_while_nobody_hears():
    brokers = {"default": {"BACKEND": "tests.live.tracking.told.ToldBroker"}}
    with override_settings(WSREQUEST={"BROKERS": brokers}):
        spreading.spread({"a": None})
        assert not spreading.is_heard()
        interest.begin()
        interest.begin()
        spreading.spread({"b": None})
        assert spreading.flush()
        interest.end()
        spreading.spread({"c": None})
        assert spreading.flush()
        interest.end()
        spreading.spread({"d": None})
        assert broker_of().told == [{"b": None}, {"c": None}]


def test_a_broker_that_cannot_be_made_breaks_no_commit(caplog):
    with override_settings(WSREQUEST={"BROKERS": {"default": {"BACKEND": "nowhere.Broker"}}}):
        assert spreading.is_heard()
        spreading.spread({"a": None})
    assert [record.name for record in caplog.records] == ["wsrequest.push"]


def test_the_end_of_the_process_waits_for_what_was_said(tmp_path):
    """Of a child that was forked, too, which has a thread of its own."""
    told = tmp_path / "told"
    program = f"""
import os, threading, time
import django
from django.conf import settings
settings.configure(WSREQUEST={{"BROKERS": {{"default": {{"BACKEND": "__main__.Slow"}}}}}})
django.setup()
from tests.live.tracking.told import ToldBroker
from wsrequest.livequery import spreading
class Slow(ToldBroker):
    within_process = False
    def signal(self, topic, payload):
        time.sleep(0.1)
        with open({str(told)!r}, "ab") as file:
            file.write(payload + b"\\n")
spreading.spread({{"parent": None}})
assert spreading.flush()
child = os.fork()
spreading.spread({{"child" if not child else "both": None}})
if child:
    os.waitpid(child, 0)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment, timeout=60)
    assert sorted(told.read_bytes().split()) == sorted(
        b'{"is":"written","tables":{"%s":null}}' % name for name in (b"parent", b"child", b"both")
    )
