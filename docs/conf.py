"""Sphinx: pages in Markdown, the reference from the docstrings. `make docs` builds them; a warning fails."""

from __future__ import annotations

import os
from importlib import metadata

import django
from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.project.settings")
django.setup()

project = "django-websocket-request"
author = "The django-websocket-request contributors"
copyright = f"2026, {author}"
release = metadata.version(project)
version = ".".join(release.split(".")[:2])

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autoclass_content = "both"
autodoc_member_order = "bysource"
autodoc_typehints = "description"

# Nothing is fetched while building, so references to other projects' objects stay plain text.
nitpick_ignore_regex = [
    (
        r"py:.*",
        r"(django|asgiref|prometheus_client|msgspec|asyncio|collections|concurrent|http|typing)\..*",
    ),
    (
        r"py:class",
        r"(HttpRequest|HttpResponse|HttpResponseBase|ResolverMatch|(Django)?RequestFactory)",
    ),
    (r"py:class", r"(ASGIApplication|CollectorRegistry)"),
    # The client's options and insides; what they are, the page about it says.
    (r"py:class", r"(httpx|ssl)\..*|(.*\.)?(Options|Link|Notices|Token|BlockingIterator)"),
    # What clients for tests return: one of their two kinds each, which the page about them shows.
    (
        r"py:class",
        r"wsrequest\.testing\.(base|subscription)\.(Answer|Code|Events|Nothing|One|Subscribed)",
    ),
    (r"py:class", r"Exchange|Run|(contextlib|socketio|tornado)\..*"),
    # What the functions that send events take; their docstrings say it.
    (
        r"py:class",
        r"(Url|User|Everyone|Touchable|wsrequest\.push\.(naming\.Topic|emitting\.Emits)|wsrequest\.livequery\.opting\.Live)",
    ),
]

html_theme = "furo"
html_title = "django-websocket-request"


def setup(app: Sphinx) -> None:
    """Frames of bytes in the protocol are not highlighted."""
    app.add_lexer("hex", TextLexer)
