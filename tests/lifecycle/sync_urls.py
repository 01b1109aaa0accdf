"""A project without any asynchronous view."""

from __future__ import annotations

from django.urls import include, path

from tests.lifecycle import views

urlpatterns = [
    path("hello/", views.hello, name="hello"),
    path("sub/", include([path("hello/", views.hello)])),
]
