"""TypeScript types of the same: what ``ws.subscribe(url)`` and ``ws.live(url)`` give, by url."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from wsrequest.management.asyncapi.components import PREFIX
from wsrequest.management.asyncapi.document import Channel

HEAD = """\
// Written by `manage.py wsschema --typescript`: run it again rather than change this.

import "wsrequest";
"""

_SIMPLE = {
    "string": "string",
    "integer": "number",
    "number": "number",
    "boolean": "boolean",
    "null": "null",
}


def typescript(schemas: Mapping[str, Any], channels: Iterable[Channel]) -> str:
    """A module that tells the client's types of these channels."""
    channels = list(channels)
    parts = [
        HEAD,
        *(
            f"export type {_identifier(name)} = {_type(schemas[name], '')};\n"
            for name in sorted(_needed(schemas, channels))
        ),
    ]
    entries = "".join(_entry(channel) for channel in channels)
    parts.append(f'declare module "wsrequest" {{\n  interface Channels {{\n{entries}  }}\n}}\n')
    return "\n".join(parts)


def _entry(channel: Channel) -> str:
    indent = " " * 6
    events = [
        f"{indent}  {json.dumps(event)}: {_type(schema, indent + '  ')};\n"
        for event, schema in channel.events.items()
    ]
    body = f"{{\n{''.join(events)}{indent}}}" if events else "{}"
    return (
        f"    {json.dumps(channel.route.template)}: {{\n"
        f"{indent}data: {_type(channel.state, indent)};\n"
        f"{indent}events: {body};\n"
        "    };\n"
    )


def _needed(schemas: Mapping[str, Any], channels: list[Channel]) -> set[str]:
    """The names that the channels refer to, and what those refer to."""
    found: set[str] = set()
    pending: list[Any] = [part for channel in channels for part in (channel.state, channel.events)]
    while pending:
        text = json.dumps(pending.pop(), default=str)
        for name in re.findall(rf'"{re.escape(PREFIX)}([^"]+)"', text):
            if name not in found:
                found.add(name)
                pending.append(schemas[name])
    return found


def _identifier(name: str) -> str:
    return re.sub(r"\W|^(?=\d)", "_", name)


def _type(schema: Any, indent: str) -> str:
    if schema is False:
        return "never"
    if not isinstance(schema, dict):
        return "unknown"
    if "$ref" in schema:
        return _identifier(schema["$ref"].rpartition("/")[2])
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return _union(json.dumps(value, ensure_ascii=False) for value in schema["enum"])
    for word in "anyOf", "oneOf":
        if word in schema:
            return _union(_type(choice, indent) for choice in schema[word])
    if "allOf" in schema:
        rest = {name: value for name, value in schema.items() if name != "allOf"}
        parts = [_type(part, indent) for part in [*schema["allOf"], rest]]
        return " & ".join(_grouped(part) for part in parts if part != "unknown") or "unknown"
    return _of_kind(schema, indent)


def _of_kind(schema: dict[str, Any], indent: str) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        return _union(_type({**schema, "type": one}, indent) for one in kind)
    if kind == "array":
        return _array(schema, indent)
    if kind == "object" or "properties" in schema:
        return _object(schema, indent)
    return _SIMPLE.get(str(kind), "unknown")


def _array(schema: dict[str, Any], indent: str) -> str:
    if isinstance(first := schema.get("prefixItems"), list):
        return f"[{', '.join(_type(item, indent) for item in first)}]"
    return f"{_grouped(_type(schema.get('items'), indent))}[]"


def _object(schema: dict[str, Any], indent: str) -> str:
    properties, required = schema.get("properties", {}), schema.get("required", ())
    others = schema.get("additionalProperties")
    if not properties:
        return f"Record<string, {_type(others, indent)}>"
    lines = []
    for name, value in properties.items():
        mark = "" if name in required else "?"
        lines.append(f"{indent}  {json.dumps(name)}{mark}: {_type(value, indent + '  ')};\n")
    return f"{{\n{''.join(lines)}{indent}}}"


def _union(parts: Iterable[str]) -> str:
    different = list(dict.fromkeys(parts))
    return "unknown" if "unknown" in different else " | ".join(different) or "never"


def _grouped(part: str) -> str:
    return f"({part})" if " | " in part or " & " in part else part
