"""The document by AsyncAPI's own parser, and the types by TypeScript's compiler."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.node import JS, node

pytestmark = pytest.mark.node

HERE = Path(__file__).resolve().parent


def parsed(document, folder: Path):
    file = folder / "asyncapi.json"
    file.write_text(json.dumps(document))
    return json.loads(node(HERE / "validate.mjs", JS / "package.json", file))


def test_the_official_parser_takes_the_document(document, tmp_path):
    found = parsed(document, tmp_path)
    assert found["problems"] == []
    channels = {channel["address"]: channel["messages"] for channel in found["channels"]}
    assert len(channels) == len(document["channels"])
    assert {"subscribe", "state", "replace", "order.paid"} <= {*channels["/api/orders/{pk}/"]}


def test_it_says_what_is_wrong_with_another(document, tmp_path):
    """So that the test before would fail."""
    broken = json.loads(json.dumps(document))
    broken["operations"]["ping"]["action"] = "shout"
    broken["channels"]["clock"]["messages"]["event.tick"]["payload"]["type"] = "clock"
    problems = "\n".join(parsed(broken, tmp_path)["problems"])
    assert "operations.ping.action" in problems
    assert "channels.clock.messages.event.tick.payload" in problems


USE = """
import { WSRequest, type DataOf, type EventOf } from "wsrequest";
import type { Moved, Order, Paid, Parcel, Rated } from "./events";

type Same<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const same = <_T extends true>() => undefined;

same<Same<DataOf<"/api/orders/">, Order[]>>();
same<Same<DataOf<"/api/orders/?page=2">, Order[]>>();
same<Same<DataOf<"/api/orders/42/">, Order>>();
same<Same<DataOf<"/ninja/parcels/42">, Parcel>>();
same<Same<DataOf<"/clock/">, unknown>>();
for (const _nowhere of [] as [DataOf<"/api/orders//">, DataOf<"/api/orders/42">, DataOf<string>][]) {
  same<Same<typeof _nowhere, [unknown, unknown, unknown]>>();
}
same<Same<EventOf<"/files/a/b/c">["data"], string>>();
same<Same<EventOf<"/api/orders/42/x/">["event"], string>>();

const ws = new WSRequest("/ws/");
declare const id: number;
declare const slug: string;

ws.subscribe(`/api/orders/${id}/`, {
  onEvent(event) {
    if (event.event === "order.paid") same<Same<typeof event.data, Paid>>();
    if (event.event === "all") event.data[0]?.note?.trim();
    // @ts-expect-error: no event has this name
    if (event.event === "payed") return;
  },
  onSnapshot(order) {
    same<Same<typeof order, Order>>();
    const status: "open" | "paid" = order.status;
    void status;
  },
});
ws.subscribe(`/ninja/parcels/${slug}?full=1`, {
  onEvent(event) {
    if (event.event === "rated") same<Same<typeof event.data, Rated>>();
    else same<Same<typeof event.data, Moved>>();
  },
});
ws.subscribe("/nowhere/", { onEvent: (event) => void event.event.trim() });

export async function reading() {
  const orders = await ws.get("/api/orders/");
  same<Same<typeof orders, Order[]>>();
  for await (const order of ws.live(`/api/orders/${slug}/`)) same<Same<typeof order, Order>>();
}
"""

OPTIONS = {
    "strict": True,
    "noEmit": True,
    "noUncheckedIndexedAccess": True,
    "target": "es2022",
    "module": "esnext",
    "moduleResolution": "bundler",
    "skipLibCheck": True,
    "useDefineForClassFields": False,
    "types": [],
    "paths": {"wsrequest": [str(JS / "src/index.ts")]},
}


def test_the_types_tell_urls_and_events_apart(types, tmp_path):
    (tmp_path / "events.ts").write_text(types)
    (tmp_path / "use.ts").write_text(USE)
    project = tmp_path / "tsconfig.json"
    project.write_text(json.dumps({"compilerOptions": OPTIONS, "files": ["events.ts", "use.ts"]}))
    assert node(JS / "node_modules/typescript/bin/tsc", "--project", project) == ""
