from __future__ import annotations

from django.urls import path

from benchmarks.live.project import views

urlpatterns = [
    path("items/", views.Items.as_view()),
    path("items/<int:pk>/", views.OneItem.as_view()),
    path("one-by-one/", views.OneByOne.as_view()),
    path("public/", views.PublicItems.as_view()),
    path("others/", views.Others.as_view()),
    path("write/", views.write),
    path("counted/", views.counted),
]
