"""JSON Schema as TypeScript; that a compiler takes it, another module shows."""

from __future__ import annotations

import pytest

from wsrequest.management.asyncapi.typescript import _type

REF = {"$ref": "#/components/schemas/Some-Name"}


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({}, "unknown"),
        (True, "unknown"),
        (False, "never"),
        ({"type": "integer"}, "number"),
        ({"type": ["string", "null"]}, "string | null"),
        ({"type": "array", "items": {"type": ["string", "null"]}}, "(string | null)[]"),
        ({"type": "array"}, "unknown[]"),
        ({"type": "array", "prefixItems": [{"type": "string"}, REF]}, "[string, Some_Name]"),
        ({"enum": ["a", 1, None, True]}, '"a" | 1 | null | true'),
        ({"enum": []}, "never"),
        ({"const": "a"}, '"a"'),
        ({"anyOf": [REF, {"type": "null"}, REF]}, "Some_Name | null"),
        ({"oneOf": [REF, {}]}, "unknown"),
        ({"allOf": [REF], "description": "only a description"}, "Some_Name"),
        ({"allOf": [{}]}, "unknown"),
        (
            {"allOf": [REF, {"anyOf": [{"type": "string"}, {"type": "number"}]}]},
            "Some_Name & (string | number)",
        ),
        ({"type": "object"}, "Record<string, unknown>"),
        (
            {"type": "object", "additionalProperties": {"type": "number"}},
            "Record<string, number>",
        ),
        (
            {"properties": {"a": REF, 'b"': {"type": "boolean"}}, "required": ["a"]},
            '{\n  "a": Some_Name;\n  "b\\""?: boolean;\n}',
        ),
        ({"type": "date"}, "unknown"),
    ],
)
def test_a_schema_as_a_type(schema, text):
    assert _type(schema, "") == text


def test_the_file(types):
    assert types.startswith("// Written by `manage.py wsschema --typescript`")
    assert 'import "wsrequest";\n' in types
    assert 'export type Order = {\n  "id": number;\n  "status": StatusEnum;\n' in types
    # In the order of their names, and only those that are needed.
    names = [line.split()[2] for line in types.splitlines() if line.startswith("export type")]
    assert names == sorted(names)
    assert "Order" in names
    channels = types.partition("interface Channels {")[2]
    assert '    "/files/{path*}": {\n      data: unknown;\n' in channels
    assert '        "order.paid": Paid;\n' in channels
    assert '    "/api/closed/": {\n      data: Order[];\n      events: {};\n    };\n' in channels
