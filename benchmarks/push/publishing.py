"""How long ``publish()`` takes in synchronous code: ``publishing CALLS CORE``, with a Valkey in ``BENCH_VALKEY``.

Prints the times, in seconds, as JSON: those of ``publish()``, and those of redis-py's own PUBLISH of as many bytes.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable

import django
import redis

from benchmarks.push.project.content import DATA, EVENT, URL

WARM_UP = 200


def main() -> None:
    os.sched_setaffinity(0, {int(sys.argv[2])})
    django.setup()
    from wsrequest import publish

    calls = int(sys.argv[1])
    client = redis.Redis.from_url(os.environ["BENCH_VALKEY"])
    data = json.loads(DATA)
    published = timed(calls, lambda: publish(URL, data, event=EVENT))
    plain = timed(calls, lambda: client.publish("news", DATA))
    print(json.dumps({"publish": published, "plain": plain}))


def timed(calls: int, call: Callable[[], object]) -> list[float]:
    for _ in range(WARM_UP):
        call()
    times = []
    for _ in range(calls):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return times


if __name__ == "__main__":
    main()
