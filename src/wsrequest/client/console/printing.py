"""What the console says, for programs: one line of JSON for each thing that came."""

from __future__ import annotations

import base64
import json
from typing import Any, Protocol, TextIO

import httpx

from wsrequest.protocol.body import is_json_type


class Printer(Protocol):
    """How a console shows what comes."""

    def answer(self, method: str, url: str, response: httpx.Response, seconds: float) -> None: ...

    def event(self, url: str, name: str, data: Any, offset: int) -> None: ...

    def state(self, url: str, data: Any) -> None: ...

    def notice(self, name: str, data: Any) -> None: ...

    def fault(self, sentence: str) -> None: ...

    def say(self, text: str) -> None: ...


class Plain:
    """For programs."""

    def __init__(self, out: TextIO, err: TextIO, *, with_headers: bool) -> None:
        self._out = out
        self._err = err
        self._with_headers = with_headers

    def answer(self, method: str, url: str, response: httpx.Response, seconds: float) -> None:
        line: dict[str, Any] = {"status": response.status_code}
        if self._with_headers:
            line["headers"] = dict(response.headers)
        if response.content:
            line["data"] = data_of(response)
        self._print(line)

    def event(self, url: str, name: str, data: Any, offset: int) -> None:
        self._print({"url": url, "event": name, "data": readable(data), "offset": offset})

    def state(self, url: str, data: Any) -> None:
        self._print({"url": url, "state": readable(data)})

    def notice(self, name: str, data: Any) -> None:
        self._print({"notice": name, "data": readable(data)})

    def fault(self, sentence: str) -> None:
        print(sentence, file=self._err, flush=True)

    def say(self, text: str) -> None:
        """Programs have no use for it."""

    def _print(self, line: dict[str, Any]) -> None:
        print(json.dumps(line, ensure_ascii=False), file=self._out, flush=True)


def data_of(response: httpx.Response) -> Any:
    """What a body says: JSON, text, or bytes as base64."""
    content_type = response.headers.get("content-type", "")
    if is_json_type(content_type):
        try:
            return response.json()
        except ValueError:
            return readable(response.content)
    if content_type.startswith("text/"):
        return response.text
    return readable(response.content)


def readable(data: Any) -> Any:
    """Bytes as text where they are that, else as base64."""
    if not isinstance(data, bytes):
        return data
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode("ascii")}
