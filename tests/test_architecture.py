"""Who may import whom in the package: down only, never up, never sideways.

The checks read the source as a tree and run nothing. `violations()` takes sources by module name,
so that the tests at the end can plant a wrong import and see it found.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

PACKAGE = "wsrequest"
SOURCE = Path(__file__).resolve().parent.parent / "src" / PACKAGE
MAX_LINES = 400


@dataclass(frozen=True)
class Room:
    """A module or folder straight below the package, and what it may import of its neighbours.

    A room may import every room of a lower level, or just those in `only`; and those in `also`.
    """

    level: int
    only: frozenset[str] | None = None
    also: frozenset[str] = field(default_factory=frozenset)

    def may_import(self, other: Room, name: str) -> bool:
        if name in self.also:
            return True
        if self.only is not None:
            return name in self.only
        return other.level < self.level


ROOMS = {
    "errors": Room(0),
    "protocol": Room(1),
    "conf": Room(2),
    "log": Room(2),
    "metrics": Room(2, also=frozenset({"conf"})),
    "events": Room(2),
    "lifecycle": Room(3),
    "push": Room(3),
    "signals": Room(2),
    "session": Room(5),
    "livequery": Room(4),
    "transports": Room(6),
    "client": Room(6, only=frozenset({"protocol", "errors"})),
    "__main__": Room(7, only=frozenset({"client"})),  # the console's door
    "testing": Room(7),
    "checks": Room(7),
    "safety": Room(7, also=frozenset({"contrib"})),
    "apps": Room(
        7, also=frozenset({"checks", "safety"})
    ),  # where Django wants checks to be registered
    "management": Room(7),
    "templatetags": Room(7),
    "contrib": Room(7),
    "asgi": Room(8, only=frozenset({"transports"})),  # a door, nothing else
    "": Room(9),  # the package itself: the public names
}

# No Django, no event loop, no clock, no I/O.
IMPURE_FRAMEWORKS = frozenset({"django", "rest_framework", "asgiref"})
IMPURE_LOOPS = frozenset({"asyncio", "concurrent", "threading", "multiprocessing", "subprocess"})
IMPURE_CLOCKS = frozenset({"time", "datetime", "sched"})
IMPURE_IO = frozenset({"socket", "ssl", "select", "selectors", "os", "io", "pathlib", "tempfile"})
IMPURE = IMPURE_FRAMEWORKS | IMPURE_LOOPS | IMPURE_CLOCKS | IMPURE_IO
IMPURE_CALLS = frozenset({"open", "print", "input"})
PURE_ROOMS = frozenset({"errors", "protocol"})
# What one transport may know of its neighbours.
OF_ALL_TRANSPORTS = frozenset(
    {
        "wsrequest.transports",
        "wsrequest.transports.http",
        "wsrequest.transports.opening",
        "wsrequest.transports.scope",
        "wsrequest.transports.stream",
        "wsrequest.transports.verbs",
    }
)

READS_DJANGO_SETTINGS = frozenset(
    {"conf", "lifecycle", "checks", "safety", "testing", "contrib", "management"}
)
# The class of 2014 hands out a RequestFactory; whoever does not ask for one never loads it.
MAY_IMPORT_DJANGO_TEST_ONCE = frozenset({"wsrequest", "wsrequest.transports.plain"})


@dataclass(frozen=True)
class Import:
    module: str
    line: int
    in_function: bool
    for_types_only: bool


def room_of(module: str) -> str:
    return module.removeprefix(PACKAGE).lstrip(".").partition(".")[0]


def is_or_below(module: str, parent: str) -> bool:
    return module == parent or module.startswith(f"{parent}.")


def imports_of(module: str, tree: ast.Module, known: frozenset[str]) -> Iterator[Import]:
    """Every import, also inside functions, below TYPE_CHECKING and by import_module("...")."""
    in_functions: set[ast.AST] = set()
    for_types: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            in_functions.update(ast.walk(node))
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            for_types.update(ast.walk(node))
    for node in ast.walk(tree):
        for name in imported_names(module, node, known):
            yield Import(name, node.lineno, node in in_functions, node in for_types)


def imported_names(module: str, node: ast.AST, known: frozenset[str]) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:  # relative to the module's folder
            folder = module.split(".")[: -node.level]
            base = ".".join([*folder, base]).rstrip(".")
        for alias in node.names:
            full = f"{base}.{alias.name}"
            is_module = full in known or full in ("django.test", "django.conf")
            yield full if is_module else base
    elif isinstance(node, ast.Call) and node.args:
        function = node.func
        called = getattr(function, "attr", None) or getattr(function, "id", None)
        target = node.args[0]
        if called in ("import_module", "__import__") and isinstance(target, ast.Constant):
            yield str(target.value)


def violations(sources: dict[str, str]) -> list[str]:
    """One sentence for each rule broken; `sources` maps "wsrequest.protocol.codec" to its text."""
    trees = {name: ast.parse(text) for name, text in sources.items()}
    known = frozenset(sources)
    imports = {name: list(imports_of(name, tree, known)) for name, tree in trees.items()}
    found: list[str] = []
    lazy_django_test: list[str] = []
    for name, text in sources.items():
        if room_of(name) not in ROOMS:
            found.append(f"{name} has no room in the table")
            continue
        found += check_direction(name, imports[name])
        found += check_purity(name, trees[name], imports[name])
        found += check_django_test(name, imports[name], lazy_django_test)
        found += check_settings(name, trees[name], imports[name])
        if (lines := len(text.splitlines())) > MAX_LINES:
            found.append(f"{name} has {lines} lines, more than {MAX_LINES}")
    if len(lazy_django_test) > 1:
        found.append(f"django.test is imported in more than one place: {lazy_django_test}")
    return found + check_cycles(imports)


def check_direction(name: str, imports: list[Import]) -> Iterator[str]:
    room = room_of(name)
    for imported in imports:
        if not is_or_below(imported.module, PACKAGE):
            continue
        target = room_of(imported.module)
        where = f"{name}:{imported.line} imports {imported.module}"
        if target not in ROOMS:
            yield f"{where}, which has no room in the table"
        elif target != room and not ROOMS[room].may_import(ROOMS[target], target):
            yield f"{where}: upward or sideways"
        elif (
            room == target == "transports"
            and imported.module not in OF_ALL_TRANSPORTS
            and imported.module.split(".")[:3] != name.split(".")[:3]  # of its own package
        ):
            yield f"{where}: one transport knows nothing of another"


def check_purity(name: str, tree: ast.Module, imports: list[Import]) -> Iterator[str]:
    room = room_of(name)
    if room == "client":
        for imported in imports:
            if is_or_below(imported.module, "django"):
                yield f"{name}:{imported.line} imports {imported.module}: the client has no Django"
    if room not in PURE_ROOMS:
        return
    for imported in imports:
        if imported.module.partition(".")[0] in IMPURE:
            yield f"{name}:{imported.line} imports {imported.module}: {room} is pure"
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", None) in IMPURE_CALLS:
            yield f"{name}:{node.lineno} calls {ast.unparse(node.func)}(): {room} is pure"


def check_django_test(name: str, imports: list[Import], lazy: list[str]) -> Iterator[str]:
    room = room_of(name)
    for imported in imports:
        if not is_or_below(imported.module, "django.test") or room == "testing":
            continue
        if imported.for_types_only:  # never run
            continue
        if name in MAY_IMPORT_DJANGO_TEST_ONCE and imported.in_function:
            lazy.append(f"{name}:{imported.line}")
        else:
            yield f"{name}:{imported.line} imports django.test"


def check_settings(name: str, tree: ast.Module, imports: list[Import]) -> Iterator[str]:
    room = room_of(name)
    if room not in READS_DJANGO_SETTINGS:
        for imported in imports:
            if is_or_below(imported.module, "django.conf"):
                yield f"{name}:{imported.line} imports django.conf"
    if room == "conf":
        return
    for node in ast.walk(tree):
        is_attribute = isinstance(node, ast.Attribute) and node.attr == "WSREQUEST"
        is_name = isinstance(node, ast.Constant) and node.value == "WSREQUEST"
        if is_attribute or is_name:
            yield f"{name}:{node.lineno} reads the WSREQUEST setting: conf.py does"


def check_cycles(imports: dict[str, list[Import]]) -> list[str]:
    """Modules that import each other, however long the way round.

    An import inside a function counts too: it only hides the circle from the interpreter.
    """
    graph = {
        name: {i.module for i in found if i.module in imports and i.module != name}
        for name, found in imports.items()
    }
    done: set[str] = set()
    cycles: list[str] = []

    def visit(name: str, path: list[str]) -> None:
        if name in path:
            cycles.append("import cycle: " + " -> ".join([*path[path.index(name) :], name]))
        elif name not in done:
            for target in sorted(graph[name]):
                visit(target, [*path, name])
            done.add(name)

    for name in sorted(graph):
        visit(name, [])
    return cycles


def package_sources() -> dict[str, str]:
    sources = {}
    for path in SOURCE.rglob("*.py"):
        parts = path.relative_to(SOURCE.parent).with_suffix("").parts
        name = ".".join(parts).removesuffix(".__init__")
        sources[name] = path.read_text(encoding="utf-8")
    return sources


# --- the package ---


def test_the_package_keeps_the_rules():
    assert violations(package_sources()) == []


def test_the_modules_of_the_package_are_seen():
    assert {
        PACKAGE,
        f"{PACKAGE}.asgi",
        f"{PACKAGE}.conf",
        f"{PACKAGE}.errors",
        f"{PACKAGE}.protocol.connection",
        f"{PACKAGE}.lifecycle.handler",
        f"{PACKAGE}.session",
        f"{PACKAGE}.transports.asgi",
    } <= package_sources().keys()


@pytest.mark.parametrize("module", ["wsrequest", "wsrequest.asgi"])
def test_importing_needs_no_settings_and_no_test_tools(module):
    """A project's asgi.py imports this before django.setup(); no process pays for django.test."""
    code = f"import sys, {module}; print(sorted(m for m in sys.modules if m == 'django.test'))"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin"},
    )
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


def test_the_protocol_runs_without_django():
    code = (
        "import sys; sys.modules['django'] = sys.modules['asyncio'] = None\n"
        "import types; package = types.ModuleType('wsrequest')\n"
        f"package.__path__ = [{str(SOURCE)!r}]; sys.modules['wsrequest'] = package\n"
        "import wsrequest.protocol.connection, wsrequest.protocol.handshake"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# --- the checker ---

SOUND = {
    "wsrequest": "from wsrequest.transports.plain import WebSocketRequest\n",
    "wsrequest.asgi": "from wsrequest.transports.asgi import get_asgi_application\n",
    "wsrequest.errors": "",
    "wsrequest.conf": "from django.conf import settings\nvalue = settings.WSREQUEST\n",
    "wsrequest.protocol": "",
    "wsrequest.protocol.messages": "import msgspec\nfrom wsrequest.errors import Error\n",
    "wsrequest.protocol.codec": "from wsrequest.protocol import messages\n",
    "wsrequest.lifecycle": "",
    "wsrequest.lifecycle.runner": "import asyncio\nfrom wsrequest.conf import get\n",
    "wsrequest.session.session": "from wsrequest.lifecycle.runner import run\n",
    "wsrequest.transports": "",
    "wsrequest.transports.plain": (
        "from typing import TYPE_CHECKING\n"
        "from wsrequest.lifecycle import runner\n"
        "if TYPE_CHECKING:\n    from django.test import RequestFactory\n"
        "def factory():\n    from django.test import RequestFactory\n"
    ),
    "wsrequest.transports.asgi": "from wsrequest.session.session import Session\n",
    "wsrequest.checks": '"""Says what is wrong in WSREQUEST."""\n',
    "wsrequest.apps": "from wsrequest import checks\n",
}


def test_a_sound_tree_passes():
    assert violations(SOUND) == []


@pytest.mark.parametrize(
    ("module", "text", "message"),
    [
        ("protocol.codec", "from wsrequest.session.session import Session", "upward or sideways"),
        ("protocol.codec", "from wsrequest import session", "upward or sideways"),
        ("protocol.codec", "import wsrequest.conf", "upward or sideways"),
        ("protocol.codec", "from ..session import Session", "upward or sideways"),
        ("protocol.codec", "def f():\n    import wsrequest.conf", "upward or sideways"),
        ("errors", "from wsrequest.protocol import codec", "upward or sideways"),
        ("push", "from wsrequest.lifecycle import runner", "upward or sideways"),
        ("livequery", "import wsrequest.session", "upward or sideways"),
        ("lifecycle", "import wsrequest.livequery", "upward or sideways"),
        ("session", "import wsrequest", "upward or sideways"),
        ("session", "import importlib\nimportlib.import_module('wsrequest.apps')", "upward"),
        ("client", "from wsrequest.conf import get", "upward or sideways"),
        ("client", "from django.http import HttpRequest", "the client has no Django"),
        ("asgi", "from wsrequest.session.session import Session", "upward or sideways"),
        ("transports.tornado", "from wsrequest.transports import asgi", "one transport"),
        ("utils", "", "wsrequest.utils has no room in the table"),
        ("protocol.codec", "import asyncio", "protocol is pure"),
        ("protocol.codec", "from time import monotonic", "protocol is pure"),
        ("protocol.codec", "from django.http import HttpRequest", "protocol is pure"),
        ("protocol.codec", "def f():\n    return open('x')", "calls open(): protocol is pure"),
        ("errors", "import django", "errors is pure"),
        ("session", "from django.test import RequestFactory", "imports django.test"),
        ("session", "def f():\n    from django import test", "imports django.test"),
        (
            "transports.plain",
            "from django.test.client import RequestFactory",
            "imports django.test",
        ),
        ("", "def f():\n    import django.test", "in more than one place"),
        ("session", "from django.conf import settings", "imports django.conf"),
        ("session", "import django.conf", "imports django.conf"),
        ("lifecycle", "x = settings.WSREQUEST", "reads the WSREQUEST setting"),
        ("checks", "x = getattr(settings, 'WSREQUEST', {})", "reads the WSREQUEST setting"),
        ("protocol.messages", "import wsrequest.protocol.codec", "import cycle"),
        ("session", "\n" * (MAX_LINES + 1), "more than 400"),
    ],
)
def test_a_planted_violation_is_found(module, text, message):
    planted = SOUND | {f"{PACKAGE}.{module}".rstrip("."): text}
    found = violations(planted)
    assert any(message in line for line in found), found


def test_the_limit_of_lines_itself_is_allowed():
    assert violations(SOUND | {"wsrequest.session.session": "\n" * MAX_LINES}) == []
