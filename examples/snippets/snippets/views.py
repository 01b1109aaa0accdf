"""The API, and the page that uses it. Nothing here knows of WebSockets, and still its lists and snippets are live."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.generic import TemplateView
from rest_framework.decorators import action
from rest_framework.filters import SearchFilter
from rest_framework.permissions import IsAuthenticated, IsAuthenticatedOrReadOnly
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import ModelViewSet

from snippets.highlighting import LANGUAGES
from snippets.models import Snippet
from snippets.permissions import IsOwnerOrReadOnly
from snippets.serializers import CodeSerializer, SnippetRowSerializer, SnippetSerializer

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from rest_framework.request import Request
    from rest_framework.serializers import BaseSerializer


class SnippetViewSet(ModelViewSet):
    """List (`?search=`, `?page=`), create, retrieve, update, delete; `mine/`; and `preview/`, which keeps nothing."""

    queryset = Snippet.objects.select_related("owner")
    permission_classes = [IsAuthenticatedOrReadOnly, IsOwnerOrReadOnly]
    filter_backends = [SearchFilter]
    search_fields = ["title", "code", "language", "owner__username"]
    lookup_value_regex = "[0-9]+"

    def get_serializer_class(self) -> type[BaseSerializer]:
        """Rows for the list, everything elsewhere."""
        return SnippetRowSerializer if self.action in ("list", "mine") else SnippetSerializer

    def get_queryset(self) -> QuerySet[Snippet]:
        """Everybody may see everything; but `mine/` is about one's own."""
        snippets = super().get_queryset()
        return snippets.filter(owner=self.request.user) if self.action == "mine" else snippets

    def perform_create(self, serializer: BaseSerializer) -> None:
        """A new snippet belongs to whoever made it."""
        serializer.save(owner=self.request.user)

    @action(detail=False, permission_classes=[IsAuthenticated])
    def mine(self, request: Request) -> Response:
        """List the snippets of whoever asks."""
        return self.list(request)

    @action(detail=False, methods=["post"])
    def preview(self, request: Request) -> Response:
        """Highlight code that is still being written."""
        serializer = CodeSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        unsaved = Snippet(**serializer.validated_data)
        return Response({"highlighted": serializer.get_highlighted(unsaved)})


class SessionView(APIView):
    """Who am I? The one whom the session cookie names, which came with the socket's handshake."""

    def get(self, request: Request) -> Response:
        """Return the user's name, or null."""
        user = request.user
        return Response({"user": user.get_username() if user.is_authenticated else None})


@method_decorator(never_cache, name="dispatch")
class IndexView(TemplateView):
    """The page. Everything that moves on it comes over the socket."""

    template_name = "snippets/index.html"
    # A terminal is another process: it reaches this page only through a broker that they share.
    extra_context = {"languages": LANGUAGES, "terminal": bool(settings.BROKER_URL)}
