"""What a snippet looks like as JSON, and what is accepted as one."""

from __future__ import annotations

from rest_framework import serializers

from snippets.highlighting import highlight
from snippets.models import Snippet
from snippets.permissions import may_edit


class SnippetRowSerializer(serializers.ModelSerializer):
    """A snippet in the list: enough for a row, without the code."""

    owner = serializers.CharField(source="owner.username", read_only=True, default=None)

    class Meta:
        model = Snippet
        fields = ["id", "title", "language", "owner", "updated"]


class CodeSerializer(serializers.ModelSerializer):
    """Code and its language, checked; `highlighted` is what Pygments makes of them."""

    highlighted = serializers.SerializerMethodField()

    class Meta:
        model = Snippet
        fields = ["code", "language", "highlighted"]
        # Indentation at the start is part of the code.
        extra_kwargs = {"code": {"trim_whitespace": False}}

    def get_highlighted(self, snippet: Snippet) -> str:
        """Return HTML that is safe to put into a page: Pygments has escaped the code."""
        return highlight(snippet.code, snippet.language)

    def validate_code(self, code: str) -> str:
        """Refuse white space alone, which `trim_whitespace` would have done."""
        if not code.strip():
            raise serializers.ValidationError("This field may not be blank.", code="blank")
        return code


class SnippetSerializer(CodeSerializer):
    """A whole snippet. `may_edit` says whether the one who asks may change it."""

    owner = serializers.CharField(source="owner.username", read_only=True, default=None)
    may_edit = serializers.SerializerMethodField()

    class Meta(CodeSerializer.Meta):
        fields = [
            "id",
            "title",
            "language",
            "code",
            "highlighted",
            "owner",
            "may_edit",
            "created",
            "updated",
        ]

    def get_may_edit(self, snippet: Snippet) -> bool:
        """Spare the page a button that would be answered 403."""
        return may_edit(self.context["request"].user, snippet)
