"""A strict Content-Security-Policy for the demo's pages, on every Django that the package supports.

Django 6.0 brought a middleware of its own for this; 5.2 has none, and a demo should not need two ways.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.deprecation import MiddlewareMixin

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponseBase

# `connect-src 'self'` covers the WebSocket too: ws: on an http: page's own host and port, wss: on an https: one's.
POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ],
)


class ContentSecurityPolicyMiddleware(MiddlewareMixin):
    """Add the policy to HTML documents; in an API's answer it would say nothing."""

    def process_response(
        self,
        request: HttpRequest,
        response: HttpResponseBase,
    ) -> HttpResponseBase:
        """Set the header, unless the view has set one itself."""
        if response.headers.get("Content-Type", "").startswith("text/html"):
            response.headers.setdefault("Content-Security-Policy", POLICY)
        return response
