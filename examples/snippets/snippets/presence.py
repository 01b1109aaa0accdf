"""What others see of somebody who is subscribed; the settings name this function (PRESENCE_INFO)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from django.http import HttpRequest


def introduce(request: HttpRequest) -> dict[str, Any]:
    """Say the user's name; null for a guest."""
    user = request.user
    return {"name": user.get_username() if user.is_authenticated else None}
