"""Schemas with names, gathered from several documents into one, where no two different ones have the same name."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

PREFIX = "#/components/schemas/"

#: Words of OpenAPI that JSON Schema has not, or that mean something else in AsyncAPI.
_FOREIGN = frozenset({"nullable", "discriminator", "xml", "externalDocs", "example"})


class Components:
    """The schemas of one document, by name."""

    def __init__(self, schemas: dict[str, Any]) -> None:
        self.schemas = schemas
        self._known: dict[str, str] = {}

    def taken(self, schema: Any, definitions: Mapping[str, Any]) -> Any:
        """The schema, as one of this document: what it refers to by name in ``definitions`` is taken in, too."""
        if isinstance(schema, list):
            return [self.taken(item, definitions) for item in schema]
        if not isinstance(schema, dict):
            return schema
        if isinstance(reference := schema.get("$ref"), str):
            alone = {"$ref": PREFIX + self._name(reference.rpartition("/")[2], definitions)}
            return {"anyOf": [alone, {"type": "null"}]} if schema.get("nullable") else alone
        kept = {name: value for name, value in schema.items() if name not in _FOREIGN}
        if isinstance(properties := kept.pop("properties", None), dict):
            # Names of properties are no words of JSON Schema.
            kept["properties"] = {
                name: self.taken(value, definitions) for name, value in properties.items()
            }
        converted = {
            name: value if name == "properties" else self.taken(value, definitions)
            for name, value in _with_limits(kept).items()
        }
        return _nullable(converted) if schema.get("nullable") else converted

    def _name(self, name: str, definitions: Mapping[str, Any]) -> str:
        """The name here of what is called so there."""
        content = json.dumps(_reached(name, definitions), sort_keys=True, default=str)
        if content not in self._known:
            own = free = re.sub(r"[^A-Za-z0-9_.-]", "_", name)
            number = 2
            while free in self.schemas:
                free, number = f"{own}{number}", number + 1
            self._known[content] = free
            self.schemas[free] = {}  # which may refer to itself
            self.schemas[free] = self.taken(definitions[name], definitions)
        return self._known[content]


def _with_limits(schema: dict[str, Any]) -> dict[str, Any]:
    """OpenAPI 3.0 says of a limit whether it is exclusive, as an older JSON Schema did."""
    for limit, exclusive in ("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum"):
        if isinstance(schema.get(exclusive), bool) and schema.pop(exclusive) and limit in schema:
            schema[exclusive] = schema.pop(limit)
    return schema


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    if isinstance(kind := schema.get("type"), str):
        schema["type"] = [kind, "null"]
        if "enum" in schema and None not in schema["enum"]:
            schema["enum"] = [*schema["enum"], None]
        return schema
    return {"anyOf": [schema, {"type": "null"}]}


def _reached(name: str, definitions: Mapping[str, Any]) -> dict[str, Any]:
    """A definition, and all that it refers to."""
    found: dict[str, Any] = {}
    pending = [name]
    while pending:
        name = pending.pop()
        if name not in found:
            found[name] = definitions[name]
            text = json.dumps(definitions[name], default=str)
            pending += re.findall(r'"\$ref": "[^"]*/([^"/]+)"', text)
    return found
