"""The AsyncAPI 3 document of the project, as plain data."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from django.conf import settings as django_settings
from django.core.management.base import CommandError
from django.urls import get_script_prefix

from wsrequest.conf import get_settings, is_configured
from wsrequest.livequery.opting import Live
from wsrequest.management.asyncapi.components import PREFIX, Components
from wsrequest.management.asyncapi.datatypes import schema_of
from wsrequest.management.asyncapi.openapi import OpenAPI, answer_of, documents, path_of_openapi
from wsrequest.management.asyncapi.urls import Route, routes
from wsrequest.push.emitting import emits_of
from wsrequest.push.marks import mark_of
from wsrequest.push.naming import Topic
from wsrequest.push.topics import options_of


@dataclass
class Channel:
    """A URL pattern that clients are told of."""

    id: str
    route: Route
    summary: str
    #: The schema of its state, and those of its events, by name.
    state: Any
    events: dict[str, Any]
    is_live: bool
    has_presence: bool
    names_topic: bool


@dataclass
class Described:
    """The document, and what it is made of."""

    document: dict[str, Any]
    channels: list[Channel] = field(default_factory=list)


def described(
    *,
    title: str | None = None,
    version: str | None = None,
    servers: Sequence[str] = (),
    openapi: Iterable[str] = (),
    every_url: bool = False,
) -> Described:
    """The document of this project. Raises CommandError for what can't be described."""
    document = json.loads(files(__package__).joinpath("wire.json").read_text(encoding="utf-8"))
    all_routes = list(routes())
    sources = documents(all_routes, openapi)
    components = Components(document["components"]["schemas"])
    found = Described(document)
    for route in all_routes:
        channel = _channel(route, sources, components, document["channels"])
        if channel is not None or every_url:
            channel = channel or _plain_channel(route, document["channels"])
            found.channels.append(channel)
            _describe(channel, document)
    info = _info(sources, title, version)
    security = _security(sources)
    document["components"]["securitySchemes"] = security
    all_servers = _servers(servers, security)
    if (path := path_of_openapi(all_routes)) is not None:
        base = next(iter(all_servers.values()))
        url = f"{base['protocol'].replace('ws', 'http')}://{base['host']}{path}"
        requests = {"description": "OpenAPI: each of these requests.", "url": url}
        document["operations"]["request"]["externalDocs"] = requests
    found.document = {
        "asyncapi": document.pop("asyncapi"),
        "info": info,
        "servers": all_servers,
        **document,
    }
    return found


# --- channels ------------------------------------------------------------------------------------


def _channel(
    route: Route, sources: list[OpenAPI], components: Components, taken: dict[str, Any]
) -> Channel | None:
    """None where neither an OpenAPI document nor the view says anything of it."""
    emits = emits_of(route.handler) or emits_of(route.view) or emits_of(route.view_class)
    channel = _plain_channel(route, taken)
    for source in sources:
        if (operation := source.get(route.address)) is not None:
            channel.state = components.taken(answer_of(operation), source.schemas)
            channel.summary = operation.get("summary") or operation.get("description") or ""
            break
    else:
        if emits is None and not channel.names_topic:
            return None
    serializers = next((source.schemas for source in sources if source.is_of_serializers), {})
    for event, kind in (emits.types if emits else {}).items():
        schema, definitions = schema_of(kind, f"{route.address}, event {event!r}", serializers)
        channel.events[event] = components.taken(schema, definitions)
    return channel


def _plain_channel(route: Route, taken: dict[str, Any]) -> Channel:
    name = re.sub(r"[^A-Za-z0-9_]+", ".", route.address).strip(".") or "root"
    own, number = name, 2
    while own in taken:
        own, number = f"{name}.{number}", number + 1
    live = mark_of(route.handler, Live, route.view_class)
    allowed = live.allowed if isinstance(live, Live) else get_settings().live
    names_topic = mark_of(route.handler, Topic, route.view_class) is not None
    presence = options_of(re.sub(r"{\w+}", "1", route.address)).presence
    if names_topic:  # which one, only a request shows
        presence = any(options.get("PRESENCE") for options in get_settings().topics.values())
    return Channel(own, route, "", {}, {}, allowed, presence, names_topic)


def _describe(channel: Channel, document: dict[str, Any]) -> None:
    """Write its messages and operations into the document."""
    here = f"#/channels/{channel.id}"
    messages = {
        "subscribe": {"name": "subscribe", "payload": {"$ref": f"{PREFIX}ws.Subscribe"}},
        "state": _state_message(channel),
        "refusal": {"$ref": "#/components/messages/response"},
        "replace": _event_message("replace", channel.state, "ws.Replace"),
    }
    for event, schema in channel.events.items():
        messages[f"event.{re.sub(r'[^A-Za-z0-9_.-]', '_', event)}"] = _event_message(event, schema)
    heard = [name for name in messages if name not in ("subscribe", "state", "refusal")]
    shared = ["lost", "end"]
    shared += ["patch"] * channel.is_live + ["presence"] * channel.has_presence
    messages.update({name: {"$ref": f"#/components/messages/{name}"} for name in shared})
    said = {
        "address": channel.route.address,
        "title": channel.route.address,
        "description": channel.summary,
        "parameters": _parameters(channel.route.address),
        "messages": messages,
    }
    document["channels"][channel.id] = {name: value for name, value in said.items() if value}
    document["operations"][f"{channel.id}.subscribe"] = {
        "action": "receive",
        "summary": f"Watch {channel.route.address}.",
        "channel": {"$ref": here},
        "messages": [{"$ref": f"{here}/messages/subscribe"}],
        "reply": {
            "channel": {"$ref": here},
            "messages": [{"$ref": f"{here}/messages/{name}"} for name in ("state", "refusal")],
        },
    }
    document["operations"][f"{channel.id}.events"] = {
        "action": "send",
        "summary": f"What is heard of {channel.route.address}"
        + (", or of the topic that its view names." if channel.names_topic else "."),
        "channel": {"$ref": here},
        "messages": [{"$ref": f"{here}/messages/{name}"} for name in [*heard, *shared]],
    }


def _parameters(address: str) -> dict[str, Any]:
    return {name: {} for name in re.findall(r"{(\w+)}", address)}


def _state_message(channel: Channel) -> dict[str, Any]:
    subscription = {"$ref": f"{PREFIX}ws.Subscribed"}
    own = {"data": channel.state, "subscription": subscription}
    payload = _more_of("ws.Response", own, ["id", "subscription"])
    return {"name": "state", "summary": "What a GET answers; events follow.", "payload": payload}


def _event_message(event: str, data: Any, base: str = "ws.Event") -> dict[str, Any]:
    return {"name": event, "payload": _more_of(base, {"event": {"enum": [event]}, "data": data})}


def _more_of(base: str, properties: dict[str, Any], required: Sequence[str] = ()) -> dict[str, Any]:
    more: dict[str, Any] = {"type": "object", "properties": properties}
    if required:
        more["required"] = list(required)
    return {"allOf": [{"$ref": PREFIX + base}, more]}


# --- what holds for the whole project ------------------------------------------------------------


def _info(sources: list[OpenAPI], title: str | None, version: str | None) -> dict[str, Any]:
    first: dict[str, Any] = sources[0].info if sources else {}
    project = str(django_settings.ROOT_URLCONF).partition(".")[0]
    info = {
        "title": title or first.get("title") or project,
        "version": version or first.get("version") or "0.0.0",
    }
    if description := first.get("description"):
        info["description"] = description
    return info


def _servers(urls: Sequence[str], security: dict[str, Any]) -> dict[str, Any]:
    """Those that were asked for, or what ALLOWED_HOSTS names; the path is WSREQUEST["PATH"]."""
    path = get_script_prefix().rstrip("/") + get_settings().path
    servers = {}
    for url in urls or [f"{_scheme(host)}://{host}" for host in _hosts()]:
        matched = re.fullmatch(r"(wss?)://([^/\s]+)(/\S*)?", url)
        if matched is None:
            raise CommandError(f"--server: {url!r} does not begin with ws:// or wss://.")
        scheme, host, own_path = matched.groups()
        server: dict[str, Any] = {"host": host, "protocol": scheme, "pathname": own_path or path}
        server["description"] = "Subprotocol: wsrequest.v1.json, or wsrequest.v1.msgpack."
        if security:
            server["security"] = [
                {"$ref": f"#/components/securitySchemes/{name}"} for name in security
            ]
        servers[re.sub(r"[^A-Za-z0-9_-]+", "-", host).strip("-")] = server
    return servers


def _hosts() -> list[str]:
    named = [host.lstrip(".") for host in django_settings.ALLOWED_HOSTS if "*" not in host]
    return named or ["localhost:8000"]


def _scheme(host: str) -> str:
    is_here = re.fullmatch(r"(localhost|127\.0\.0\.1|\[::1\]|testserver)(:\d+)?", host)
    return "ws" if is_here else "wss"


def _security(sources: list[OpenAPI]) -> dict[str, Any]:
    """As the OpenAPI documents have it; else the session's cookie, and the token where one is configured."""
    found: dict[str, Any] = {}
    for source in sources:
        for name, scheme in source.security.items():
            if (converted := _security_scheme(scheme)) is not None:
                found.setdefault(name, converted)
    if found:
        return found
    if "django.contrib.sessions.middleware.SessionMiddleware" in django_settings.MIDDLEWARE:
        name = django_settings.SESSION_COOKIE_NAME
        found["session"] = {"type": "httpApiKey", "in": "cookie", "name": name}
    if is_configured("TOKEN_SCHEME"):
        scheme = get_settings().token_scheme
        found["token"] = {
            "type": "http",
            "scheme": scheme.lower(),
            "description": f"A message's `token`, or Authorization: {scheme} ... of the handshake.",
        }
    return found


def _security_scheme(scheme: dict[str, Any]) -> dict[str, Any] | None:
    """OpenAPI's as AsyncAPI writes it; None for a kind that has other rules there."""
    kind = scheme.get("type")
    if kind not in ("http", "apiKey"):
        return None
    kept = {name: value for name, value in scheme.items() if not name.startswith("x-")}
    return {**kept, "type": "httpApiKey"} if kind == "apiKey" else kept
