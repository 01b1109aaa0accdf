"""Every carrier that the suite runs over."""

from __future__ import annotations

from tests.transports.shared.carrier import Carrier
from tests.transports.shared.carriers.asgi import CARRIERS as ASGI
from tests.transports.shared.carriers.channels import CARRIERS as CHANNELS
from tests.transports.shared.carriers.socketio import CARRIERS as SOCKETIO
from tests.transports.shared.carriers.stream import CARRIERS as STREAM
from tests.transports.shared.carriers.tornado import CARRIERS as TORNADO

CARRIERS: dict[str, Carrier] = {
    carrier.name: carrier for carrier in (*ASGI, *CHANNELS, *STREAM, *TORNADO, *SOCKETIO)
}
