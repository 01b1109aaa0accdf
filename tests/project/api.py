"""A REST framework API over the notes."""

from __future__ import annotations

from django.contrib.auth import get_user_model
from rest_framework import serializers, viewsets
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.decorators import action
from rest_framework.exceptions import AuthenticationFailed, Throttled
from rest_framework.pagination import PageNumberPagination
from rest_framework.permissions import IsAuthenticatedOrReadOnly
from rest_framework.response import Response

from tests.project.models import Note


class NoteSerializer(serializers.ModelSerializer):
    class Meta:
        model = Note
        fields = ["slug", "text"]

    def validate_text(self, text: str) -> str:
        if text == "bad":
            raise serializers.ValidationError("Not this one.")
        return text


class TokenAuthentication(BaseAuthentication):
    """``Authorization: JWT <user name>``: as good as a real token for showing where it goes."""

    def authenticate(self, request):
        scheme, _, name = request.headers.get("authorization", "").partition(" ")
        if scheme != "JWT":
            return None
        user = get_user_model().objects.filter(username=name).first()
        if user is None:
            raise AuthenticationFailed
        return user, name

    def authenticate_header(self, request):
        return 'JWT realm="api"'


class Pages(PageNumberPagination):
    page_size = 2


class NoteViewSet(viewsets.ModelViewSet):
    queryset = Note.objects.all()
    serializer_class = NoteSerializer
    authentication_classes = [TokenAuthentication, SessionAuthentication]
    permission_classes = [IsAuthenticatedOrReadOnly]
    pagination_class = Pages

    @action(detail=False)
    def busy(self, request):
        raise Throttled(wait=7)

    @action(detail=True, methods=["post"])
    def shout(self, request, pk):
        return Response({"text": self.get_object().text.upper(), "by": str(request.user)})
