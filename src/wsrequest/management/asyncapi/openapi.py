"""What the project's OpenAPI documents say of a GET: those of drf-spectacular and django-ninja, or from a file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from django.apps import apps
from django.core.management.base import CommandError
from django.utils.module_loading import import_string

from wsrequest.management.asyncapi.urls import Route


class OpenAPI:
    """One OpenAPI document."""

    def __init__(self, document: Mapping[str, Any], *, is_of_serializers: bool = False) -> None:
        self.is_of_serializers = is_of_serializers
        self.info: dict[str, Any] = document.get("info", {})
        components = document.get("components", {})
        self.schemas: dict[str, Any] = components.get("schemas", {})
        self.security: dict[str, Any] = components.get("securitySchemes", {})
        self._gets = {
            path: item["get"] for path, item in document.get("paths", {}).items() if "get" in item
        }
        self._by_shape = {_shape(path): path for path in reversed(self._gets)}

    def get(self, address: str) -> dict[str, Any] | None:
        """The operation of a GET to this template. Parameters may have other names there."""
        path = address if address in self._gets else self._by_shape.get(_shape(address), "")
        return self._gets.get(path)


def _shape(path: str) -> str:
    return re.sub(r"{[^{}]*}", "{}", path)


def answer_of(operation: Mapping[str, Any]) -> Any:
    """The schema of a successful answer; one that says nothing where that is no JSON."""
    responses = {str(status): said for status, said in operation.get("responses", {}).items()}
    for status in sorted(responses):
        if status[:1] == "2":
            for content_type, content in responses[status].get("content", {}).items():
                if re.fullmatch(r"application/(.+\+)?json.*", content_type):
                    return content.get("schema", {})
    return {}


def documents(routes: Iterable[Route], files: Iterable[str]) -> list[OpenAPI]:
    """Those of the files first, then those that the project makes."""
    found = [OpenAPI(_read(Path(file))) for file in files]
    if apps.is_installed("drf_spectacular"):
        settings = import_string("drf_spectacular.settings.spectacular_settings")
        document = settings.DEFAULT_GENERATOR_CLASS().get_schema(request=None, public=True)
        found.append(OpenAPI(document, is_of_serializers=True))
    apis = {id(route.ninja): route.ninja for route in routes if route.ninja is not None}
    # By way of JSON, as some of its values are lazy.
    found += [OpenAPI(_plain(api.get_openapi_schema())) for api in apis.values()]
    return found


def path_of_openapi(routes: Iterable[Route]) -> str | None:
    """Where the project serves such a document, as far as drf-spectacular and django-ninja do."""
    for route in routes:
        view = getattr(route.view, "func", route.view_class)
        name = f"{getattr(view, '__module__', '')}.{getattr(view, '__name__', '')}"
        if name in ("drf_spectacular.views.SpectacularAPIView", "ninja.openapi.views.openapi_json"):
            return route.address
    return None


def _plain(document: Any) -> Any:
    encoder = import_string("django.core.serializers.json.DjangoJSONEncoder")
    return json.loads(json.dumps(document, cls=encoder))


def _read(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise CommandError(f"--openapi: {error}") from error
    document = _loaded(path, text)
    if not isinstance(document, dict) or "paths" not in document:
        raise CommandError(f"--openapi: {path} is no OpenAPI document: it has no paths.")
    return document


def _loaded(path: Path, text: str) -> Any:
    if path.suffix == ".json":
        try:
            return json.loads(text)
        except ValueError as error:
            raise CommandError(f"--openapi: {path} is not JSON: {error}") from error
    yaml = yaml_module()
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise CommandError(f"--openapi: {path} is not YAML: {error}") from error


def yaml_module() -> Any:
    """PyYAML, which is asked for by those only who want YAML."""
    try:
        import yaml
    except ImportError as error:
        raise CommandError("YAML needs PyYAML: pip install pyyaml. Or use JSON.") from error
    return yaml
