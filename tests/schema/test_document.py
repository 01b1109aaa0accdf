"""What `manage.py wsschema` says of a project with drf-spectacular and django-ninja."""

from __future__ import annotations

import json
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import jsonschema
import pytest
import yaml
from django.core.management import CommandError
from django.http import HttpResponse
from django.test import override_settings
from django.urls import include, path, set_script_prefix

from tests.schema import shop
from tests.schema.conftest import wsschema
from wsrequest import emits

WIRE = ["connection"]


def resolve(document: Any, reference: str) -> Any:
    for part in reference.removeprefix("#/").split("/"):
        document = document[part.replace("~1", "/")]
    return document


def references(part: Any):
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for value in part.values():
            yield from references(value)
    elif isinstance(part, list):
        for value in part:
            yield from references(value)


def by_address(document: Any) -> dict[str, Any]:
    return {channel["address"]: channel for channel in document["channels"].values()}


def own_part(document: Any, address: str, message: str) -> Any:
    """What a message has beyond the wire's."""
    return by_address(document)[address]["messages"][message]["payload"]["allOf"][1]["properties"]


def data_of(document: Any, address: str, message: str) -> Any:
    return own_part(document, address, message)["data"]


def test_every_reference_leads_somewhere(document):
    found = set(references(document))
    assert len(found) > 50
    for reference in found:
        resolve(document, reference)


def test_the_channels_are_urls_that_answer_get(document):
    assert by_address(document).keys() - {None} == {
        "/api/",
        "/api/orders/",
        "/api/orders/{pk}/",
        "/api/closed/",
        "/api/closed/{pk}/",
        "/ninja/",
        "/ninja/docs",
        "/ninja/openapi.json",
        "/ninja/parcels/{number}",
        "/ninja/aparcels/{number}",
        "/clock/",
        "/clock/{twice}/",
        "/clock/{again}/",
        "/files/{path}",
        "/plain/{year}/",
    }
    assert by_address(document)["/files/{path}"]["parameters"] == {"path": {}}


@pytest.mark.usefixtures("in_shop")
def test_without_all_they_are_those_of_which_something_is_said():
    said = by_address(json.loads(wsschema()))
    assert "/api/orders/" in said
    assert "/clock/" in said
    assert said.keys().isdisjoint({"/plain/{year}/", "/api/", "/ninja/docs"})


@pytest.mark.parametrize(
    ("address", "schema"),
    [
        ("/api/orders/", {"type": "array", "items": {"$ref": "#/components/schemas/Order"}}),
        ("/api/orders/{pk}/", {"$ref": "#/components/schemas/Order"}),
        ("/ninja/parcels/{number}", {"$ref": "#/components/schemas/Parcel"}),
        ("/clock/", {}),
    ],
)
def test_the_state_is_what_openapi_says_of_the_get(document, address, schema):
    for message in "state", "replace":
        found = data_of(document, address, message)
        assert {**found, "title": ""} == {**schema, "title": ""}


def test_the_summary_is_that_of_openapi(document):
    assert by_address(document)["/api/orders/"]["description"] == "Your orders."


def events_of(document: Any, address: str) -> dict[str, Any]:
    return {
        message["name"]: data_of(document, address, key)
        for key, message in by_address(document)[address]["messages"].items()
        if key.startswith("event.")
    }


def test_events_and_their_types(document):
    def ref(name: str) -> dict[str, str]:
        return {"$ref": f"#/components/schemas/{name}"}

    assert events_of(document, "/api/orders/") == {
        "created": ref("Order"),
        "cleared": {"type": "null"},
    }
    assert events_of(document, "/api/orders/{pk}/") == {
        "order.paid": ref("Paid"),
        "sent": ref("Sent"),
        "refunded": ref("Refund"),
        "all": {"type": "array", "items": ref("Order")},
    }
    assert events_of(document, "/ninja/parcels/{number}") == {
        "moved": ref("Moved"),
        "rated": ref("Rated"),
    }
    assert events_of(document, "/ninja/aparcels/{number}") == {"moved": ref("Moved")}
    assert events_of(document, "/files/{path}") == {"changed": {"type": "string"}}
    assert events_of(document, "/clock/{twice}/") == {
        "tick": {"type": "integer"},
        "shape": {"type": "object", "properties": {"x": {"type": "number"}}},
        "any": {},
    }
    assert events_of(document, "/api/closed/") == {}  # None in a subclass
    assert events_of(document, "/api/closed/{pk}/") == events_of(document, "/api/orders/{pk}/")


def test_a_schema_with_a_name_stands_in_the_document_once(document):
    schemas = document["components"]["schemas"]
    own = {name for name in schemas if not name.startswith("ws.")}
    assert own == {
        *("Address", "Moved", "Order", "Paid", "Parcel", "Rated", "Refund", "Sent", "Stars"),
        "StatusEnum",
    }
    assert schemas["Order"]["properties"]["note"] == {"type": ["string", "null"]}
    assert schemas["Refund"]["properties"]["of"] == {"$ref": "#/components/schemas/Order"}
    assert schemas["Sent"]["properties"]["address"] == {"$ref": "#/components/schemas/Address"}


def test_messages_are_those_that_can_come(document):
    said = by_address(document)
    assert "patch" in said["/clock/"]["messages"]
    for address in "/api/orders/", "/files/{path}":  # live(False)
        assert "patch" not in said[address]["messages"]
    assert "presence" in said["/clock/"]["messages"]
    assert "presence" not in said["/clock/{twice}/"]["messages"]
    # Which topic a view names, only a request shows.
    assert "presence" in said["/api/orders/"]["messages"]


def test_operations(document):
    watch = document["operations"]["api.orders.subscribe"]
    assert watch["action"] == "receive"
    replies = [resolve(document, reply["$ref"]) for reply in watch["reply"]["messages"]]
    assert replies[0]["name"] == "state"
    heard = document["operations"]["api.orders.events"]
    assert heard["action"] == "send"
    assert "topic" in heard["summary"]
    names = {message["$ref"].rpartition("/")[2] for message in heard["messages"]}
    assert names == {"replace", "event.created", "event.cleared", "lost", "end", "presence"}
    assert "topic" not in document["operations"]["clock.events"]["summary"]


def test_requests_are_left_to_openapi(document):
    there = document["operations"]["request"]["externalDocs"]["url"]
    assert there == "http://testserver/ninja/openapi.json"


def test_title_and_version(document):
    assert document["info"]["title"] == "The shop"
    assert document["info"]["version"] == "0.0.0"


@pytest.mark.usefixtures("in_shop")
def test_servers_are_those_of_allowed_hosts():
    settings = {"ALLOWED_HOSTS": [".example.org", "*.example.com", "localhost"]}
    with override_settings(**settings, WSREQUEST={"PATH": "/socket/"}):
        servers = json.loads(wsschema())["servers"]
    assert [(s["protocol"], s["host"], s["pathname"]) for s in servers.values()] == [
        ("wss", "example.org", "/socket/"),
        ("ws", "localhost", "/socket/"),
    ]


@pytest.mark.usefixtures("in_shop")
def test_servers_that_are_named():
    set_script_prefix("/app/")
    try:
        document = json.loads(wsschema("--server", "wss://a.example", "--server", "ws://b:1/s/"))
    finally:
        set_script_prefix("/")
    found = [(s["protocol"], s["host"], s["pathname"]) for s in document["servers"].values()]
    assert found == [("wss", "a.example", "/app/ws/"), ("ws", "b:1", "/s/")]
    assert "/app/clock/" in by_address(document)
    with pytest.raises(CommandError, match="--server: 'https://a' does not begin with"):
        wsschema("--server", "https://a")
    with override_settings(ALLOWED_HOSTS=[]):
        assert list(json.loads(wsschema())["servers"]) == ["localhost-8000"]


def test_security_of_a_project_without_openapi():
    with override_settings(ROOT_URLCONF=__name__, WSREQUEST={"TOKEN_SCHEME": "Bearer"}):
        document = json.loads(wsschema())
    schemes = document["components"]["securitySchemes"]
    assert schemes["session"] == {"type": "httpApiKey", "in": "cookie", "name": "sessionid"}
    assert (schemes["token"]["type"], schemes["token"]["scheme"]) == ("http", "bearer")
    assert document["servers"]["testserver"]["security"] == [
        {"$ref": "#/components/securitySchemes/session"},
        {"$ref": "#/components/securitySchemes/token"},
    ]
    with override_settings(ROOT_URLCONF=__name__, MIDDLEWARE=[]):
        document = json.loads(wsschema())
    assert document["components"]["securitySchemes"] == {}
    assert "security" not in document["servers"]["testserver"]


def test_security_of_openapi(document):
    assert document["components"]["securitySchemes"] == {
        "cookieAuth": {"type": "httpApiKey", "in": "cookie", "name": "sessionid"},
        "basicAuth": {"type": "http", "scheme": "basic"},
    }


# --- options -------------------------------------------------------------------------------------


def view(request, **kwargs):
    return HttpResponse()


urlpatterns = [
    path("named/<int:id>/", view),
    path("sorted/", emits(page=shop.Paid)(view)),
    path("nested/", include([path("", view)])),
]

OPENAPI = {
    "openapi": "3.0.3",
    "info": {"title": "By hand", "version": "7", "description": "Ours."},
    "paths": {
        "/named/{pk}/": {
            "get": {
                "responses": {
                    "404": {"description": "", "content": {"application/json": {"schema": {}}}},
                    "200": {
                        "description": "",
                        "content": {
                            "text/html": {"schema": {"type": "string"}},
                            "application/hal+json": {
                                "schema": {"$ref": "#/components/schemas/Paid"}
                            },
                        },
                    },
                }
            }
        },
        "/nested/": {"get": {"responses": {"204": {"description": "nothing"}}}},
    },
    "components": {
        "schemas": {
            "Paid": {
                "type": "object",
                "nullable": True,
                "example": {},
                "properties": {
                    "nullable": {"$ref": "#/components/schemas/Paid", "nullable": True},
                    "sum": {"type": "number", "minimum": 0, "exclusiveMinimum": True},
                    "most": {"type": "number", "maximum": 9, "exclusiveMaximum": False},
                    "kind": {"type": "string", "enum": ["a"], "nullable": True},
                    "either": {"oneOf": [{"type": "string"}], "nullable": True, "xml": {}},
                },
            }
        },
        "securitySchemes": {
            "key": {"type": "apiKey", "in": "header", "name": "X-Key", "x-other": 1},
            "other": {"type": "oauth2", "flows": {}},
        },
    },
}


@pytest.mark.parametrize("suffix", ["json", "yaml"])
def test_an_openapi_document_of_ones_own(tmp_path, suffix):
    file = tmp_path / f"openapi.{suffix}"
    file.write_text(json.dumps(OPENAPI))  # which is YAML, too
    with override_settings(ROOT_URLCONF=__name__):
        document = json.loads(wsschema("--openapi", str(file)))
    assert document["info"] == {"title": "By hand", "version": "7", "description": "Ours."}
    assert data_of(document, "/named/{id}/", "state") == {"$ref": "#/components/schemas/Paid"}
    assert data_of(document, "/nested/", "state") == {}
    # Another one of this name, which has another content.
    assert data_of(document, "/sorted/", "event.page") == {"$ref": "#/components/schemas/Paid2"}
    paid = document["components"]["schemas"]["Paid"]
    assert paid == {
        "type": ["object", "null"],
        "properties": {
            "nullable": {"anyOf": [{"$ref": "#/components/schemas/Paid"}, {"type": "null"}]},
            "sum": {"type": "number", "exclusiveMinimum": 0},
            "most": {"type": "number", "maximum": 9},
            "kind": {"type": ["string", "null"], "enum": ["a", None]},
            "either": {"anyOf": [{"oneOf": [{"type": "string"}]}, {"type": "null"}]},
        },
    }
    jsonschema.Draft7Validator.check_schema(paid)
    schemes = document["components"]["securitySchemes"]
    assert schemes == {"key": {"type": "httpApiKey", "in": "header", "name": "X-Key"}}


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("no.json", "[1", "is not JSON"),
        ("no.yaml", "[1", "is not YAML"),
        ("other.json", "[]", "no OpenAPI document: it has no paths"),
        ("missing.json", None, "No such file"),
    ],
)
def test_a_file_that_is_no_openapi_document(tmp_path, name, content, problem):
    if content is not None:
        (tmp_path / name).write_text(content)
    with override_settings(ROOT_URLCONF=__name__), pytest.raises(CommandError, match=problem):
        wsschema("--openapi", str(tmp_path / name))


def test_yaml_says_the_same(tmp_path):
    with override_settings(ROOT_URLCONF=__name__):
        written = yaml.safe_load(wsschema("--format", "yaml"))
        assert written == json.loads(wsschema())
        wsschema("--file", str(tmp_path / "asyncapi.json"))
        assert json.loads((tmp_path / "asyncapi.json").read_text()) == written
        with pytest.raises(CommandError, match=r"--file: .*No such file"):
            wsschema("--file", str(tmp_path / "nowhere" / "asyncapi.json"))


def test_yaml_without_pyyaml(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "yaml", None)
    with override_settings(ROOT_URLCONF=__name__), pytest.raises(CommandError, match="pyyaml"):
        wsschema("--format", "yaml")


def project(*patterns):
    module = ModuleType("a_project")
    module.urlpatterns = patterns
    return override_settings(ROOT_URLCONF=module)


@dataclass
class Unfinished:
    what: Nowhere  # noqa: F821


@pytest.mark.parametrize("kind", [Unfinished, object()])
def test_a_type_without_a_schema_is_named(kind):
    problem = r"^/odd/, event 'strange': .* has no JSON Schema\."
    odd = project(path("odd/", emits(strange=kind)(lambda request: None)))
    with odd, pytest.raises(CommandError, match=problem):
        wsschema()


def test_serializers_without_drf_spectacular():
    kinds = {"one": shop.RefundSerializer, "many": shop.OrderSerializer(many=True)}
    view = emits(kinds)(lambda request: None)
    with project(path("refunds/", view)):
        document = json.loads(wsschema())
    assert data_of(document, "/refunds/", "event.one") == {"$ref": "#/components/schemas/Refund"}
    refund = document["components"]["schemas"]["Refund"]
    assert refund["properties"]["of"]["properties"]["status"]["enum"] == ["open", "paid"]
    assert data_of(document, "/refunds/", "event.many")["items"] == {
        "$ref": "#/components/schemas/Order"
    }
