"""The messages of the AsyncAPI document are those of PROTOCOL.md: what a server says there is one of them."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest

PROTOCOL = Path(__file__).resolve().parents[2] / "PROTOCOL.md"
WIRE = json.loads(files("wsrequest.management.asyncapi").joinpath("wire.json").read_text())

OF_SERVER = [
    *("Response", "Subscribed-Response", "Chunk", "End", "Pong", "Hello", "Expiring", "Goaway"),
    *("Event", "Replace", "Patch", "Lost", "Presence", "Notice"),
]


def strict(schema):
    """Fields that are not named are not there; and references are those of this document."""
    if isinstance(schema, dict):
        schema = {name: strict(value) for name, value in schema.items()}
        if "properties" in schema and "additionalProperties" not in schema:
            schema["additionalProperties"] = False
    elif isinstance(schema, list):
        schema = [strict(item) for item in schema]
    return schema


def schemas():
    """Those of the wire, and a response that begins a subscription."""
    found = {name.removeprefix("ws."): s for name, s in WIRE["components"]["schemas"].items()}
    response = json.loads(json.dumps(found["Response"]))
    response["properties"]["subscription"] = {"$ref": "#/components/schemas/ws.Subscribed"}
    response["required"] += ["id", "subscription"]
    found["Subscribed-Response"] = response
    return {f"ws.{name}": strict(schema) for name, schema in found.items() if name != "Subscribe"}


SCHEMAS = {"components": {"schemas": schemas()}}


def validator(name):
    reference = {"$ref": f"#/components/schemas/ws.{name}"}
    return jsonschema.Draft7Validator({**SCHEMAS, "allOf": [reference]})


VALIDATORS = {name: validator(name) for name in OF_SERVER}


def said_by(role):
    blocks = re.findall(rf"(?ms)^```json {role}(?: .*?)?\n(.*?)^```", PROTOCOL.read_text())
    assert len(blocks) > 50
    for block in blocks:
        frame = json.loads(block.replace('"<number>"', "1"))
        yield from frame if isinstance(frame, list) else [frame]


def kinds_of(message):
    return [name for name, one in VALIDATORS.items() if one.is_valid(message)]


def test_each_message_of_a_server_is_one_of_these():
    seen = set()
    for message in said_by("server"):
        kinds = kinds_of(message)
        assert kinds, message
        seen.update(kinds)
    assert seen == set(OF_SERVER)


def test_each_message_of_a_client_that_is_answered_well_is_one_of_these():
    request, subscribe = validator("Request"), json.loads(json.dumps(WIRE))
    subscribe["allOf"] = [{"$ref": "#/components/schemas/ws.Subscribe"}]
    subscribe = jsonschema.Draft7Validator(subscribe)
    others = [validator(name) for name in ("Cancel", "Auth", "Ping", "Pong")]
    subscriptions = 0
    for message in said_by("client"):
        if not isinstance(message, dict) or {"url", "cancel", "auth", "ping"}.isdisjoint(message):
            continue  # it shows what is refused
        if str(message.get("method")).upper() == "SUBSCRIBE" and "id" in message:
            subscriptions += subscribe.is_valid({**message, "method": "SUBSCRIBE"})
        elif "url" not in message:
            assert any(one.is_valid(message) for one in others) or "auth" in message, message
    assert subscriptions > 20
    assert request.is_valid({"id": 1, "url": "/x/", "method": "post", "data": {"any": 1}})
    for wrong in {"id": 0, "url": "/"}, {"id": 1}, {"id": 1, "url": 5}, {"url": "/", "key": ""}:
        assert not request.is_valid(wrong), wrong


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ({"id": 1, "event": "paid", "data": 1, "offset": 4, "skip": 2}, ["Event"]),
        ({"event": "paid", "data": 1}, ["Notice"]),
        ({"id": 1, "event": "patch", "data": [{"op": "x", "path": ""}], "rev": 1}, []),
        ({"id": 1, "event": "patch", "data": [], "rev": 1}, ["Patch"]),
        ({"control": "goaway", "data": {}}, []),
        ({"id": 1, "status": 99, "headers": {}}, []),
    ],
)
def test_they_are_told_apart(message, kind):
    assert kinds_of(message) == kind
