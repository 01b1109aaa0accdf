"""The JSON Schema of what an event's data may be declared as; see :func:`wsrequest.emits`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from django.apps import apps
from django.core.management.base import CommandError
from django.utils.module_loading import import_string

from wsrequest.management.asyncapi.components import PREFIX

TEMPLATE = PREFIX + "{name}"


def schema_of(kind: Any, where: str, serializers: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The schema, and the definitions that it refers to. ``where`` it is declared stands in the CommandError for what
    has none. ``serializers`` are those that the project's OpenAPI document has, by the names that it gives them."""
    if isinstance(kind, dict):
        return kind, kind.get("$defs", {})
    if hasattr(kind, "model_json_schema"):
        return _of_pydantic(kind)
    if _is_serializer(kind):
        return _of_serializer(kind, serializers)
    try:
        schemas, definitions = msgspec.json.schema_components([kind], ref_template=TEMPLATE)
    except (TypeError, NameError) as error:
        raise CommandError(f"{where}: {kind!r} has no JSON Schema. {error}") from error
    return schemas[0], definitions


def _of_pydantic(kind: Any) -> tuple[Any, dict[str, Any]]:
    schema = kind.model_json_schema(mode="serialization")
    definitions = {**schema.pop("$defs", {}), kind.__name__: schema}
    return {"$ref": PREFIX + kind.__name__}, definitions


def _is_serializer(kind: Any) -> bool:
    if not apps.is_installed("rest_framework"):
        return False
    base = import_string("rest_framework.serializers.BaseSerializer")
    return isinstance(kind, base) or (isinstance(kind, type) and issubclass(kind, base))


def _of_serializer(kind: Any, known: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """By drf-spectacular where the project has it, else by REST framework's own generator."""
    serializer = kind() if isinstance(kind, type) else kind
    if not apps.is_installed("drf_spectacular"):
        schema = import_string("rest_framework.schemas.openapi.AutoSchema")()
        return _plain_serializer(schema, serializer)
    inspector = import_string("drf_spectacular.openapi.AutoSchema")()
    inspector.registry = import_string("drf_spectacular.plumbing.ComponentRegistry")()
    inspector.view, inspector.path, inspector.method = _NoView(), "", "GET"
    many = getattr(serializer, "many", False)
    component = inspector.resolve_serializer(serializer.child if many else serializer, "response")
    schema = {"type": "array", "items": component.ref} if many else component.ref
    # What it makes of them at last (the names of enumerations, say) stands in its document.
    return schema, {**inspector.registry.build({})["schemas"], **known}


class _NoView:
    """What drf-spectacular asks the view of a serializer that is no view's."""

    versioning_class = None
    request = None


def _plain_serializer(inspector: Any, serializer: Any) -> tuple[Any, dict[str, Any]]:
    if getattr(serializer, "many", False):
        schema, definitions = _plain_serializer(inspector, serializer.child)
        return {"type": "array", "items": schema}, definitions
    name = type(serializer).__name__.removesuffix("Serializer") or "Serializer"
    return {"$ref": PREFIX + name}, {name: inspector.map_serializer(serializer)}
