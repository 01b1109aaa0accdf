from __future__ import annotations

from django.urls import path

from benchmarks.push.project import views

urlpatterns = [
    path("news/", views.news),
]
