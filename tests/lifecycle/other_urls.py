"""Another urlconf, for a middleware or a setting to choose."""

from __future__ import annotations

from django.urls import path

from tests.lifecycle import views

urlpatterns = [
    path("other/", views.see_state),
    path("aother/", views.asee_state),
    path("other-stream/", views.stream),
    path("hello/", views.see_state, name="hello"),
]
