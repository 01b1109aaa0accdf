"""Who may change what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rest_framework.permissions import SAFE_METHODS, BasePermission

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User
    from rest_framework.request import Request
    from rest_framework.views import APIView

    from snippets.models import Snippet


def may_edit(user: User | AnonymousUser, snippet: Snippet) -> bool:
    """Say whether `user` may change or delete `snippet`: its owner may, and staff."""
    return user.is_authenticated and (user.is_staff or snippet.owner_id == user.pk)


class IsOwnerOrReadOnly(BasePermission):
    """Everybody reads; owners and staff write."""

    message = "Only the owner of a snippet may change it."

    def has_object_permission(self, request: Request, view: APIView, obj: Snippet) -> bool:
        """Answer for one snippet."""
        return request.method in SAFE_METHODS or may_edit(request.user, obj)
