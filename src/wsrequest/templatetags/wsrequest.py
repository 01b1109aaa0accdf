"""``{% wsrequest_script %}``: the package's own client, by its names, in the modules of a page without a bundler."""

from __future__ import annotations

import json
from typing import Any

from django import template
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

register = template.Library()

#: What a page may import besides "wsrequest", as "wsrequest/http" and so on.
ENTRIES = ("http", "stream", "shared", "fragment")

_IN_SCRIPT = str.maketrans({"<": r"\u003C", ">": r"\u003E", "&": r"\u0026"})


@register.simple_tag(takes_context=True)
def wsrequest_script(context: template.Context, nonce: Any = None) -> SafeString:
    """An import map, so that ``import { WSRequest } from "wsrequest"`` is what it would be with a bundler.

    It has to stand before the page's first ``<script type="module">``. The Content-Security-Policy's nonce is taken
    from ``csp_nonce``, which Django's own context processor gives; ``nonce=`` is for any other one.
    """
    # Django's nonce is false until it was written for the first time, and only then in the header.
    given = nonce if nonce is not None else context.get("csp_nonce", "")
    attribute = format_html(' nonce="{}"', text) if (text := str(given)) else ""
    return format_html(
        '<script type="importmap"{}>{}</script>\n<link rel="modulepreload" href="{}"{}>',
        attribute,
        mark_safe(json.dumps({"imports": imports()}).translate(_IN_SCRIPT)),  # noqa: S308
        static("wsrequest/wsrequest.js"),
        attribute,
    )


def imports() -> dict[str, str]:
    """Names, and the urls of the files: what a page that has an import map of its own puts into it."""
    core = static("wsrequest/wsrequest.js")
    found = {"wsrequest": core}
    found |= {f"wsrequest/{name}": static(f"wsrequest/{name}.js") for name in ENTRIES}
    # An entry imports the core that lies beside it. Where files have a hash in their names, that is to be the one
    # which the page imports, not a second copy.
    plain = core.rpartition("/")[0] + "/wsrequest.js"
    if plain != core:
        found[plain] = core
    return found
