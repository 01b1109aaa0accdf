from __future__ import annotations

from django.urls import path

from benchmarks.project import views

urlpatterns = [
    path("empty/", views.empty),
    path("empty-async/", views.empty_async),
    path("slow/", views.slow),
    path("slow-async/", views.slow_async),
    path("stream/<int:size>/", views.stream),
    path("stream-async/<int:size>/", views.stream_async),
    path("file/", views.file),
    path("collect/", views.collect),
    path("row/", views.one_row),
    path("list/", views.SnippetList.as_view()),
]
