"""The benchmark's settings, with a broker for us and a channel layer for Channels.

``BENCH_VALKEY`` (a url) says where the Valkey is, ``BENCH_LAYER`` which channel layer is to be used.
"""

from __future__ import annotations

import os

from benchmarks.project.settings import *  # noqa: F403
from benchmarks.project.settings import WSREQUEST

ROOT_URLCONF = "benchmarks.push.project.urls"

#: More than the clients that lose their connection: they come again before the server has seen all of them go.
CONNECTIONS = 20_000

WSREQUEST |= {
    # The servers wait for their turn in silence.
    "PING_INTERVAL": None,
    "MAX_CONNECTIONS": CONNECTIONS,
    "MAX_CONNECTIONS_PER_ADDRESS": CONNECTIONS,
}

VALKEY = os.environ.get("BENCH_VALKEY")
if VALKEY is not None:
    WSREQUEST["BROKERS"] = {
        "default": {
            "BACKEND": "wsrequest.push.brokers.redis.RedisBroker",
            "OPTIONS": {"url": VALKEY},
        }
    }

# redis-py 8 gives up reading after 5 s unless told otherwise, and Channels waits for longer while nothing happens.
HOSTS = [{"address": VALKEY, "socket_timeout": None}]
LAYERS = {
    "memory": {"BACKEND": "channels.layers.InMemoryChannelLayer"},
    "redis": {
        "BACKEND": "channels_redis.core.RedisChannelLayer",
        "CONFIG": {"hosts": HOSTS},
    },
    "pubsub": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": HOSTS},
    },
}
CHANNEL_LAYERS = {"default": LAYERS[os.environ.get("BENCH_LAYER", "memory")]}
