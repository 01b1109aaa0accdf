from __future__ import annotations

from django.urls import path

from benchmarks.project import views

urlpatterns = [
    path("empty/", views.empty),
    path("empty-async/", views.empty_async),
    path("row/", views.one_row),
    path("list/", views.SnippetList.as_view()),
]
