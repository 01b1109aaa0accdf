"""PROTOCOL.md's section on event streams is run, as the other sections are by ``test_protocol_md``."""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus
from typing import Any

import pytest

from tests.test_protocol_md import PATIENCE, SECTIONS, Block, Section, matches, play, project
from wsrequest.asgi import get_asgi_application

__all__ = ["project"]

STREAMS = [section for section in SECTIONS if any(b.role == "post" for b in section.blocks)]


class Exchange:
    """One HTTP request to the application, and what comes of it."""

    def __init__(self, application: Any, text: str) -> None:
        head, _, body = text.partition("\n\n")
        first, *lines = head.splitlines()
        pairs = (line.split(": ", 1) for line in lines)
        path = first.split()[1]
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": first.split()[0],
            "scheme": "https",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode()) for name, value in pairs],
            "client": ("192.0.2.1", 50000),
            "server": ("example.org", 443),
        }
        self._to_server: asyncio.Queue[Any] = asyncio.Queue()
        self._from_server: asyncio.Queue[Any] = asyncio.Queue()
        self._to_server.put_nowait(
            {"type": "http.request", "body": body.removesuffix("\n").encode()}
        )
        self._said = ""
        self._task = asyncio.create_task(
            application(scope, self._to_server.get, self._from_server.put)
        )

    async def head(self) -> tuple[int, dict[str, str]]:
        event = await self._event()
        assert event["type"] == "http.response.start", event
        headers = {name.decode(): value.decode() for name, value in event["headers"]}
        return event["status"], headers

    async def text(self) -> str:
        event = await self._event()
        assert not event.get("more_body")
        return event["body"].decode()

    async def event(self) -> tuple[str, Any]:
        """The next event of a stream: its name, and its data."""
        while True:
            while "\n\n" not in self._said:
                self._said += (await self._event())["body"].decode()
            block, _, self._said = self._said.partition("\n\n")
            if not block.startswith(":"):
                return parsed(block)

    async def leave(self) -> None:
        self._to_server.put_nowait({"type": "http.disconnect"})
        async with asyncio.timeout(PATIENCE):
            await self._task

    async def _event(self) -> Any:
        async with asyncio.timeout(PATIENCE):
            return await self._from_server.get()


def parsed(block: str) -> tuple[str, Any]:
    fields = dict(line.split(": ", 1) for line in block.strip().splitlines())
    return fields.get("event", ""), json.loads(fields["data"])


class Play:
    def __init__(self) -> None:
        self._application = get_asgi_application()
        self._stream: Exchange | None = None
        self._latest: Exchange | None = None
        self._said: dict[str, str] = {}

    async def run(self, section: Section) -> None:
        for block in section.blocks:
            try:
                await self._step(block)
            except AssertionError as error:
                raise AssertionError(f"PROTOCOL.md, line {block.line}: {error}") from error
        if self._stream is not None:
            await self._stream.leave()

    async def _step(self, block: Block) -> None:
        if block.role == "post":
            text = block.text.replace("<key>", self._said.get("<key>", "<key>"))
            self._latest = Exchange(self._application, text)
        elif block.role == "answer":
            await self._answered(block.text)
        else:
            assert self._stream is not None
            await self._expect(self._stream, block.text)

    async def _answered(self, text: str) -> None:
        assert self._latest is not None
        head, _, body = text.partition("\n\n")
        first, *lines = head.strip().splitlines()
        wanted = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        status = HTTPStatus(int(first.split()[1]))
        assert first == f"HTTP/1.1 {status.value} {status.phrase}"
        assert await self._latest.head() == (status, wanted)
        if "event-stream" not in wanted["content-type"]:
            assert await self._latest.text() == body
            return
        if self._stream is not None:
            await self._stream.leave()
        self._stream = self._latest
        await self._expect(self._stream, body)

    async def _expect(self, stream: Exchange, text: str) -> None:
        for block in text.strip().split("\n\n"):
            name, data = parsed(block)
            found, said = await stream.event()
            assert (name, True) == (found, matches(data, said, self._said)), said


@pytest.mark.parametrize("section", STREAMS, ids=lambda section: section.title)
async def test_streams_are_as_the_document_says(section: Section, project: None) -> None:
    async with play(section):
        await Play().run(section)


def test_the_sections_are_found() -> None:
    assert [section.title for section in STREAMS] == ["Opening a stream", "Sending on a stream"]
