"""The documentation is run: its commands, its files, its Python and its JavaScript.

A page that begins with `<!-- test: page -->` is followed from top to bottom in an empty folder, as a reader would. A
comment before a block says what becomes of it:

    <!-- test: file PATH -->     it is this file
    <!-- test: append PATH -->   it is added to this file
    <!-- test: run -->           it is run (console: the lines with "$"; python, js: as a script); a `text` block
                                 after it is what it prints
    <!-- test: server -->        its command is started, and goes on to the end of the page
    <!-- test: project -->       (no block) a project with an API, and the package set up as the tutorial does it
    <!-- test: bare project -->  (no block) the same without the package
    <!-- test: no, REASON -->    it is not run

The port 8000 stands for one that is free.
"""

from __future__ import annotations

import ast
import dataclasses
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import django
import playwright
import pytest

from tests.support.ports import free_port
from wsrequest import checks, conf, errors, safety

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", *DOCS.rglob("*.md")])
OTHER_PAGES = [
    ROOT / f"{name}.md" for name in ("PROTOCOL", "CHANGELOG", "CONTRIBUTING", "SECURITY")
]
RUNNABLE = {"python", "js", "console", "html"}
NODE = Path(playwright.__file__).parent / "driver" / ("node.exe" if os.name == "nt" else "node")
CLIENT = Path(conf.__file__).parent / "static/wsrequest/wsrequest.js"

PAGE = """\
globalThis.location = new URL("http://127.0.0.1:PORT/");
globalThis.WebSocket = class extends WebSocket {
  constructor(url, protocols) {
    super(url, { protocols, headers: { origin: location.origin } });
  }
};
"""

PROJECT_ASGI = """\
import os
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")
from wsrequest.asgi import get_asgi_application
application = get_asgi_application()
"""

PROJECT_URLS = """\
import json
from django.http import JsonResponse
from django.urls import path

def projects(request):
    if request.method == "POST":
        return JsonResponse({"id": 1, **json.loads(request.body)}, status=201)
    return JsonResponse([], safe=False)

urlpatterns = [path("api/projects/", projects)]
"""


# --- reading pages -------------------------------------------------------------------------------


@dataclass
class Step:
    """A block, or a directive that needs none."""

    line: int
    action: str = ""
    language: str = ""
    text: str = ""

    @property
    def verb(self) -> str:
        return self.action.split(" ")[0].rstrip(",")

    @property
    def path(self) -> str:
        return self.action.split(" ")[1]


def read_steps(page: Path) -> list[Step]:
    steps: list[Step] = []
    action, fence = "", None
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if fence is not None:
            if line == "```":
                steps.append(fence)
                fence = None
            else:
                fence.text += f"{line}\n"
        elif line.startswith("```"):
            fence = Step(number, action, line[3:].split(" ")[0])
            action = ""
        elif directive := re.fullmatch(r"<!-- test: (.*) -->", line):
            action = directive[1]
            if action in ("page", "project", "bare project"):
                steps.append(Step(number, action))
                action = ""
        else:
            assert not (action and line.strip()), f"{page.name}:{number}: no block after {action!r}"
    return steps


STEPS = {page: read_steps(page) for page in PAGES}
FOLLOWED = [page for page, steps in STEPS.items() if any(step.action == "page" for step in steps)]


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


# --- following a page ----------------------------------------------------------------------------


class Reader:
    """Does what a page says, in a folder of its own."""

    def __init__(self, folder: Path, fresh_project: Path) -> None:
        self.folder = folder
        self._fresh_project = fresh_project
        self.printed = ""
        self._server: subprocess.Popen[bytes] | None = None
        self._port = free_port()
        self._env = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(folder),
            "DJANGO_SETTINGS_MODULE": "mysite.settings",
            "PYTHONWARNINGS": "default",
            "PORT": str(self._port),
        }
        self._env.pop("COVERAGE_PROCESS_START", None)

    def follow(self, step: Step, output: str) -> None:
        """Do this step; `output` is what the page says that it prints."""
        text = re.sub(r"\b8000\b", str(self._port), step.text).replace("\\\n", " ")
        match step.verb:
            case "file" | "append":
                path = self.folder / step.path
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("a" if step.verb == "append" else "w", encoding="utf-8") as file:
                    file.write(f"\n{text}" if step.verb == "append" else text)
            case "bare" | "project":
                self._start_project(with_package=step.verb == "project")
            case "server":
                self._serve(text)
            case "run":
                self._run_block(step.language, text, lines=len(output.splitlines()))
            case "" if step.language == "text" and self.printed:
                assert self.printed.strip() == text.strip()
                self.printed = ""

    def _start_project(self, *, with_package: bool) -> None:
        shutil.copytree(self._fresh_project, self.folder, dirs_exist_ok=True)
        site = self.folder / "mysite"
        (site / "urls.py").write_text(PROJECT_URLS)
        if with_package:
            (site / "asgi.py").write_text(PROJECT_ASGI)
            with (site / "settings.py").open("a") as settings:
                settings.write('\nINSTALLED_APPS.insert(0, "wsrequest")\n')

    def _run_block(self, language: str, text: str, lines: int) -> None:
        if language == "python":
            self.printed = self._run([sys.executable, "-c", text])
        elif language == "js":
            # What a browser has and Node has not.
            page = PAGE.replace("PORT", str(self._port))
            # And what an import map does there.
            text = text.replace('from "wsrequest"', f'from "{CLIENT.as_uri()}"')
            self.printed = self._run_script(page + text, lines)
        else:
            commands = [line[2:] for line in text.splitlines() if line.startswith("$ ")]
            assert commands, "a console block without commands"
            self.printed = "".join(self._run(["bash", "-ec", command]) for command in commands)

    def _run(self, command: list[str]) -> str:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self._env,
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        assert "Warning" not in done.stderr, done.stderr
        return done.stdout

    def _run_script(self, script: str, lines: int) -> str:
        """A script of a page has no end; it is over when it has printed what it should."""
        command = [str(NODE), "--input-type=module", "-e", script]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as node:
            assert node.stdout is not None
            printed = [node.stdout.readline() for _ in range(lines)]
            node.terminate()
        return "".join(printed)

    def _serve(self, text: str) -> None:
        (command,) = (line[2:] for line in text.splitlines() if line.startswith("$ "))
        option = [] if "runserver" in command else ["--port"]
        with (self.folder / "server.log").open("w") as log:
            self._server = subprocess.Popen(
                [*shlex.split(command), *option, str(self._port)],
                cwd=self.folder,
                env=self._env,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        for _ in range(300):
            assert self._server.poll() is None, (self.folder / "server.log").read_text()
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self._port)) == 0:
                    return
            time.sleep(0.1)  # a server tells nobody that it listens: one has to try
        raise AssertionError("the server does not answer")

    def close(self) -> None:
        if self._server is not None:
            self._server.terminate()
            self._server.wait(timeout=10)
            assert "Traceback" not in (self.folder / "server.log").read_text()


@pytest.fixture(scope="module")
def fresh_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once: what `django-admin startproject mysite` makes is the same each time, but for a key."""
    folder = tmp_path_factory.mktemp("fresh")
    command = [sys.executable, "-m", "django", "startproject", "mysite", str(folder)]
    subprocess.run(command, check=True, timeout=120)
    return folder


@pytest.fixture
def reader(tmp_path: Path, fresh_project: Path) -> Iterator[Reader]:
    reader = Reader(tmp_path, fresh_project)
    yield reader
    reader.close()


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", FOLLOWED, ids=name_of)
def test_a_reader_gets_what_the_page_says(page, reader):
    steps = STEPS[page]
    for step, following in zip(steps, [*steps[1:], Step(0)], strict=True):
        try:
            reader.follow(step, following.text if following.language == "text" else "")
        except (AssertionError, subprocess.TimeoutExpired) as error:
            raise AssertionError(f"{name_of(page)}, line {step.line}: {error}") from error


# --- every page ----------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_example_is_run_or_says_why_not(page):
    followed = page in FOLLOWED
    for step in STEPS[page]:
        if step.language in RUNNABLE:
            assert step.action, f"line {step.line}: say what the test is to do with this block"
            if step.verb != "no":
                assert followed, f"line {step.line}: the page has no <!-- test: page -->"
        if step.language == "python":
            ast.parse(step.text)


def headings(page: Path) -> set[str]:
    """The anchors of a page, as GitHub and MyST make them of its headings."""
    if page == DOCS / "reference" / "protocol.md":  # it includes the other
        page = ROOT / "PROTOCOL.md"
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", [*PAGES, *OTHER_PAGES], ids=name_of)
def test_links_lead_somewhere(page):
    text = re.sub(
        r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
    )
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?:|mailto:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        assert not anchor or anchor in headings(there), target


@pytest.mark.parametrize("page", ["README.md", "docs/topics/limits.md"])
def test_the_tests_that_are_named_exist(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w./]+)(?:::(\w+))?`", text)
    assert named
    for path, function in named:
        assert (ROOT / path).is_file(), path
        if function:
            assert f"def {function}(" in (ROOT / path).read_text(encoding="utf-8"), function


# --- the reference is whole ----------------------------------------------------------------------


def table(page: str, title: str) -> list[list[str]]:
    """The cells of the first table under a heading, without its head."""
    text = (DOCS / "reference" / page).read_text(encoding="utf-8")
    part = re.split(rf"^#+ {re.escape(title)}$", text, maxsplit=1, flags=re.MULTILINE)[1]
    part = re.split(r"^#", part, maxsplit=1, flags=re.MULTILINE)[0]
    lines = [line for line in part.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_reference_has_every_setting_with_its_default():
    settings = conf.Settings()
    defaults = {
        field.name.upper(): getattr(settings, field.name) for field in dataclasses.fields(settings)
    }
    written = {name.strip("`"): default for name, default, _ in table("settings.md", "Settings")}
    assert list(written) == list(defaults)
    for name, default in written.items():
        if name == "WORKERS":
            assert default == "`min(32, cores + 4)`"
            assert defaults[name] == min(32, (os.cpu_count() or 1) + 4)
        elif name == "OMIT_RESPONSE_HEADERS":
            assert default == "the list below"
        else:
            assert ast.literal_eval(default.strip("`")) == defaults[name], name


def test_the_reference_has_the_response_headers_that_are_left_out():
    text = (DOCS / "reference" / "settings.md").read_text(encoding="utf-8")
    listed = text.split("## Response headers that are left out")[1]
    assert tuple(re.findall(r"`([a-z-]+)`", listed)) == conf.OMIT_RESPONSE_HEADERS


def test_the_reference_has_every_check():
    said = f"{checks.__doc__} {safety.__doc__}"
    known = set(re.findall(r"wsrequest\.[EW]\d+", said))
    assert {row[0].strip("`") for row in table("checks.md", "System checks")} == known


def test_the_reference_has_every_error():
    def below(kind: type) -> Iterator[type]:
        for child in kind.__subclasses__():
            yield child
            yield from below(child)

    expected = {
        (kind.__name__, kind.code, str(kind.status))
        for kind in below(errors.WSRequestError)
        if not kind.__name__.startswith("_") and not kind.__subclasses__()
    }
    written = {
        (name.strip("`"), code.strip("`"), status)
        for name, code, status, _ in table("errors.md", "Errors")
    }
    assert written == expected


def test_the_supported_versions_are_the_ones_that_are_declared():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for django_version in re.findall(r'"Framework :: Django :: ([\d.]+)"', pyproject):
        assert django_version in text
    assert django.VERSION[:2] in {(5, 2), (6, 0), (6, 1)}
