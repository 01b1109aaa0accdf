"""The consumer, under the server that most projects with Channels have."""

from __future__ import annotations

from dataclasses import replace

from tests.transports.shared.carriers.asgi import CARRIERS as ASGI

(daphne,) = (carrier for carrier in ASGI if carrier.name == "daphne")

CARRIERS = (
    replace(
        daphne,
        name="channels",
        title="Channels (daphne)",
        command=lambda port: (
            *daphne.command(port)[:-1],
            "tests.transports.shared.site.channels:application",
        ),
    ),
)
