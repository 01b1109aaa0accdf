"""The floor: Django's ``WSGIHandler`` called in a loop, with no server, socket or thread around it.

It is the whole of what Django does for a request: both signals, all middleware, the view,
``start_response``, the body, ``close()``. It runs in a process of its own, on the server's core:
it reads ``<seconds> <path>`` on stdin and answers each line with a line of JSON.
"""

from __future__ import annotations

import io
import json
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks import processes
from benchmarks.samples import Sample

HEADERS = {
    "HTTP_HOST": "127.0.0.1:8000",
    "HTTP_USER_AGENT": "wsrequest-bench",
    "HTTP_ACCEPT": "*/*",
    "HTTP_ORIGIN": "http://127.0.0.1:8000",
}


class Floor:
    """The process that loops. Use it as a context manager."""

    def __init__(self, *, core: int, logs: Path, env: dict[str, str]) -> None:
        self._core, self._log, self._env = core, logs / "floor.log", env

    def __enter__(self) -> Self:
        self._process = processes.start(
            ["-m", "benchmarks.floor"], core=self._core, env=self._env, log=self._log, piped=True
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        processes.stop(self._process)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    def run(self, path: str, *, warm_up: float, seconds: float) -> Sample:
        """Loop over ``path`` for so long, after a warm-up that is not counted."""
        self._ask(path, warm_up)
        answer = self._ask(path, seconds)
        return Sample(
            requests=answer["requests"],
            seconds=answer["seconds"],
            server_cpu=answer["cpu"],
            generator_cpu=0.0,
            latencies=[],
            body=answer["body"].encode(),
        )

    def _ask(self, path: str, seconds: float) -> dict[str, Any]:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            stdin.write(f"{seconds} {path}\n")
            stdin.flush()
            answer = stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise RuntimeError(f"The floor ended:\n{self._log.read_text()}")
        result: dict[str, Any] = json.loads(answer)
        return result


def environ(path: str) -> dict[str, Any]:
    """Return a fresh WSGI environ, as a server makes one for each request."""
    return {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        **HEADERS,
    }


def loop(application: Any, path: str, seconds: float) -> dict[str, Any]:
    """Call ``application`` for so many seconds, and check each status and body."""
    statuses: list[str] = []

    def start_response(status: str, _headers: list[tuple[str, str]]) -> None:
        statuses.append(status)

    def call() -> bytes:
        response = application(environ(path), start_response)
        body = b"".join(response)
        response.close()
        return body

    expected = call()
    count, started, cpu = 0, time.perf_counter(), time.process_time()
    while (elapsed := time.perf_counter() - started) < seconds:
        if call() != expected:
            raise RuntimeError(f"{path} did not answer the same twice.")
        count += 1
    cpu = time.process_time() - cpu
    if set(statuses) != {"200 OK"}:
        raise RuntimeError(f"{path} answered {set(statuses)}.")
    return {"requests": count, "seconds": elapsed, "cpu": cpu, "body": expected.decode()}


def main() -> None:
    from benchmarks.project.wsgi import application

    for line in sys.stdin:
        seconds, path = line.split()
        print(json.dumps(loop(application, path, float(seconds))), flush=True)


if __name__ == "__main__":
    main()
