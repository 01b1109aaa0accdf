"""The languages that a snippet may be in, and Pygments, which turns code into HTML with classes."""

from __future__ import annotations

from functools import lru_cache

from pygments import highlight as pygments_highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name

# The name that Pygments knows a language by, and the one that people do.
LANGUAGES = {
    "bash": "Bash",
    "c": "C",
    "css": "CSS",
    "django": "Django template",
    "go": "Go",
    "html": "HTML",
    "java": "Java",
    "javascript": "JavaScript",
    "json": "JSON",
    "lua": "Lua",
    "python": "Python",
    "ruby": "Ruby",
    "rust": "Rust",
    "sql": "SQL",
    "text": "Plain text",
    "toml": "TOML",
    "typescript": "TypeScript",
    "yaml": "YAML",
}


@lru_cache(maxsize=256)
def highlight(code: str, language: str) -> str:
    """Return `code` as HTML: escaped, with Pygments' classes, each line bearing its number."""
    lexer = get_lexer_by_name(language, stripnl=False)
    return pygments_highlight(code, lexer, HtmlFormatter(linenos="inline", wrapcode=True))
