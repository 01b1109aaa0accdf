"""What subscribers hear when a snippet changes, whoever changed it: a view, the shell, a management command.

Everybody may read every snippet, so an event to the list's path tells nobody what he may not know. One snippet's page
also says whether *you* may edit it. That differs from reader to reader, so its subscribers are not sent the data:
`touch` runs each one's own GET again. Both wait for the commit.
"""

from __future__ import annotations

from typing import Any

from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver
from django.urls import reverse

from snippets.models import Snippet
from snippets.serializers import SnippetRowSerializer
from wsrequest import publish, touch


@receiver(post_save, sender=Snippet)
def tell_of_saved(instance: Snippet, *, created: bool, raw: bool, **kwargs: Any) -> None:
    """Send the new row to whoever has the list."""
    if not raw:  # fixtures come with rows that are not there yet
        row = SnippetRowSerializer(instance).data
        publish(reverse("snippet-list"), row, event="created" if created else "updated")
        touch(reverse("snippet-detail", args=[instance.pk]))


@receiver(post_delete, sender=Snippet)
def tell_of_deleted(instance: Snippet, **kwargs: Any) -> None:
    """Send what is gone; a subscription to the snippet itself ends, as its GET is answered 404 from now on."""
    publish(reverse("snippet-list"), {"id": instance.pk}, event="deleted")
    touch(reverse("snippet-detail", args=[instance.pk]))
