"""WebSockets over a stream of HTTP/2 (RFC 8441) or HTTP/3 (RFC 9220): a client for tests.

There is no upgrade: the frames of RFC 6455 go over a stream that an extended CONNECT has opened.
"""

from __future__ import annotations

import asyncio
import ssl
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h2.config
import h2.connection
import h2.events
from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from h2.settings import SettingCodes
from websockets.exceptions import ConnectionClosed
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Message, TextMessage

from tests.transports.shared.carrier import Refused

PATIENCE = 30


def opening(
    authority: str,
    path: str,
    scheme: str,
    subprotocol: str | None,
    headers: Mapping[str, str],
) -> list[tuple[str, str]]:
    """The header fields that open a WebSocket."""
    own = {":method": "CONNECT", ":protocol": "websocket", ":scheme": scheme}
    own |= {":path": path, ":authority": headers.get("Host", authority)}
    own["sec-websocket-version"] = "13"
    if subprotocol is not None:
        own["sec-websocket-protocol"] = subprotocol
    more = {name.lower(): value for name, value in headers.items() if name != "Host"}
    return list((own | more).items())


class FramedWire(ABC):
    """A WebSocket over a stream that is open; see :class:`~tests.transports.shared.carrier.Wire`."""

    def __init__(self) -> None:
        self.close_code: int | None = None
        self.subprotocol: str | None = None
        self.transport = SimpleNamespace(abort=self.abort)
        self._frames = Connection(ConnectionType.CLIENT)
        self._parts: list[Any] = []
        #: What has come on the stream; None is its end.
        self.arrived: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.answered: asyncio.Future[dict[str, str]] = asyncio.get_running_loop().create_future()

    @abstractmethod
    async def write(self, data: bytes) -> None: ...

    @abstractmethod
    def abort(self) -> None: ...

    def taken(self, size: int) -> None:  # noqa: B027 (HTTP/3's client does it by itself)
        """So many bytes were read: there is room for more."""

    async def opened(self) -> None:
        """Wait for the answer. Raises Refused."""
        async with asyncio.timeout(PATIENCE):
            headers = await self.answered
        if headers[":status"] != "200":
            raise Refused(int(headers[":status"]), headers.get("retry-after"))
        self.subprotocol = headers.get("sec-websocket-protocol")

    async def send(self, frame: str | bytes) -> None:
        message = TextMessage(frame) if isinstance(frame, str) else BytesMessage(frame)
        await self.write(self._frames.send(message))

    async def recv(self) -> str | bytes:
        while self.close_code is None:
            for event in self._frames.events():
                if isinstance(event, Message):
                    self._parts.append(event.data)
                    if event.message_finished:
                        parts, self._parts = self._parts, []
                        return parts[0][:0].join(parts)
                elif isinstance(event, CloseConnection):
                    self.close_code = int(event.code)
                    raise ConnectionClosed(None, None)
            data = await self.arrived.get()
            if data is None:
                self.close_code = 1006
                break
            self.taken(len(data))
            self._frames.receive_data(data)
        raise ConnectionClosed(None, None)


class H2Wire(FramedWire):
    """Over an HTTP/2 connection of its own, without TLS, by prior knowledge."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        super().__init__()
        self._reader, self._writer = reader, writer
        self._http = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self._room = asyncio.Event()
        self._able = asyncio.get_running_loop().create_future()
        self._http.initiate_connection()
        self._flush()
        self._reading = asyncio.create_task(self._read())

    async def connect(self, headers: list[tuple[str, str]]) -> None:
        async with asyncio.timeout(PATIENCE):
            assert await self._able, "the server does not take an extended CONNECT"
        self._http.send_headers(1, headers)
        self._flush()
        await self.opened()

    async def write(self, data: bytes) -> None:
        while data:
            room = min(self._http.local_flow_control_window(1), self._http.max_outbound_frame_size)
            if room > 0:
                self._http.send_data(1, data[:room])
                data = data[room:]
                self._flush()
            else:
                self._room.clear()
                await self._room.wait()
        await self._writer.drain()

    def taken(self, size: int) -> None:
        if not self._reading.done():
            self._http.acknowledge_received_data(size, 1)
            self._flush()

    def abort(self) -> None:
        self._writer.transport.abort()

    async def leave(self) -> None:
        self._reading.cancel()
        self._writer.close()
        await asyncio.wait([self._reading])

    def _flush(self) -> None:
        self._writer.write(self._http.data_to_send())

    async def _read(self) -> None:
        try:
            while data := await self._reader.read(2**16):
                for event in self._http.receive_data(data):
                    self._take(event)
                self._flush()
        except OSError:
            pass
        finally:
            self.arrived.put_nowait(None)
            self._room.set()

    def _take(self, event: Any) -> None:
        if isinstance(event, h2.events.RemoteSettingsChanged) and not self._able.done():
            setting = event.changed_settings.get(SettingCodes.ENABLE_CONNECT_PROTOCOL)
            self._able.set_result(setting is not None and setting.new_value == 1)
        elif isinstance(event, h2.events.ResponseReceived):
            self.answered.set_result(dict(event.headers or ()))
        elif isinstance(event, h2.events.DataReceived):
            self.arrived.put_nowait(event.data)
        elif isinstance(event, h2.events.StreamEnded | h2.events.StreamReset):
            self.arrived.put_nowait(None)
        elif isinstance(event, h2.events.WindowUpdated):
            self._room.set()


@asynccontextmanager
async def over_http2(
    port: int, path: str, subprotocol: str | None, headers: Mapping[str, str]
) -> AsyncIterator[H2Wire]:
    wire = H2Wire(*await asyncio.open_connection("127.0.0.1", port))
    try:
        await wire.connect(opening(f"127.0.0.1:{port}", path, "http", subprotocol, headers))
        yield wire
    finally:
        await wire.leave()


class H3Client(QuicConnectionProtocol):
    """An HTTP/3 connection, with one wire on it."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._http = H3Connection(self._quic)
        self.wire = H3Wire(self)

    async def open(self, headers: list[tuple[str, str]]) -> None:
        stream = self._quic.get_next_available_stream_id()
        fields = [(name.encode(), value.encode()) for name, value in headers]
        self._http.send_headers(stream, fields)
        self.transmit()
        self.wire.stream = stream
        await self.wire.opened()

    def carry(self, stream: int, data: bytes) -> None:
        self._http.send_data(stream, data, end_stream=False)
        self.transmit()

    def quic_event_received(self, event: Any) -> None:
        if isinstance(event, ConnectionTerminated):
            self.wire.arrived.put_nowait(None)
        for received in self._http.handle_event(event):
            if isinstance(received, HeadersReceived):
                answer = {name.decode(): value.decode() for name, value in received.headers}
                self.wire.answered.set_result(answer)
            elif isinstance(received, DataReceived):
                self.wire.arrived.put_nowait(received.data)
                if received.stream_ended:
                    self.wire.arrived.put_nowait(None)


class H3Wire(FramedWire):
    def __init__(self, client: H3Client) -> None:
        super().__init__()
        self._client = client
        self.stream = 0

    async def write(self, data: bytes) -> None:
        self._client.carry(self.stream, data)

    def abort(self) -> None:
        self._client.close()


@asynccontextmanager
async def over_http3(
    port: int, path: str, subprotocol: str | None, headers: Mapping[str, str]
) -> AsyncIterator[H3Wire]:
    configuration = QuicConfiguration(alpn_protocols=H3_ALPN, verify_mode=ssl.CERT_NONE)
    async with connect(
        "127.0.0.1", port, configuration=configuration, create_protocol=H3Client
    ) as client:
        fields = opening(f"127.0.0.1:{port}", path, "https", subprotocol, headers)
        await client.open(fields)
        yield client.wire


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that nobody trusts, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    certfile, keyfile = folder / "certificate.pem", folder / "key.pem"
    certfile.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    keyfile.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return certfile, keyfile
