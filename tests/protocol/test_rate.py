"""The token bucket: never more than it says, and as many as it says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsrequest.protocol.rate import TokenBucket


def taken(bucket: TokenBucket, now: float, tries: int) -> int:
    return sum(bucket.take(now) == 0 for _ in range(tries))


def test_the_burst_is_there_at_once_and_no_more():
    bucket = TokenBucket(10, 3, now=100.0)
    assert [bucket.take(100.0) for _ in range(4)] == [0, 0, 0, pytest.approx(0.1)]


def test_it_fills_up_with_time_and_not_beyond_the_burst():
    bucket = TokenBucket(2, 3, now=100.0)
    assert taken(bucket, 100.0, 10) == 3
    assert taken(bucket, 100.49, 10) == 0
    assert taken(bucket, 100.5, 10) == 1
    assert taken(bucket, 101.5, 10) == 2
    assert taken(bucket, 1000.0, 10) == 3


def test_who_is_refused_loses_nothing():
    """Asking too often does not keep a peer out for longer."""
    bucket = TokenBucket(1, 1, now=0.0)
    bucket.take(0.0)
    for tenth in range(1, 10):
        assert bucket.take(tenth / 10) == pytest.approx(1 - tenth / 10)
    assert bucket.take(1.0001) == 0


@pytest.mark.parametrize("rate", [0.1, 1, 3, 1000, 1e6])
def test_the_wait_is_long_enough(rate):
    bucket = TokenBucket(rate, 1, now=5.0)
    bucket.take(5.0)
    wait = bucket.take(5.0)
    assert wait == pytest.approx(1 / rate)
    assert bucket.take(5.0 + wait * 1.001) == 0


def test_what_is_left():
    bucket = TokenBucket(2, 3, now=0.0)
    assert bucket.left(0.0) == 3
    bucket.take(0.0)
    bucket.take(0.0)
    assert [bucket.left(now) for now in (0.0, 0.4, 0.5, 1.0, 50.0)] == [1, 1, 2, 3, 3]


#: Sums of these are exact.
quarters = st.integers(0, 40).map(lambda number: number / 4)


@given(
    rate=st.sampled_from([0.25, 0.5, 1, 2, 4]),
    burst=st.integers(1, 5),
    steps=st.lists(st.tuples(quarters, st.integers(0, 10)), max_size=30),
)
def test_it_gives_what_a_bucket_would_hold(rate, burst, steps):
    bucket, now, level = TokenBucket(rate, burst, now=0.0), 0.0, float(burst)
    for pause, tries in steps:
        now += pause
        level = min(burst, level + pause * rate)
        assert bucket.left(now) == int(level)
        for _ in range(tries):
            wait = bucket.take(now)
            if level >= 1:
                assert wait == 0
                level -= 1
            else:
                assert wait == (1 - level) / rate
