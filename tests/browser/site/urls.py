"""What the pages ask for."""

from __future__ import annotations

from django.urls import path

from tests.browser.site import views
from wsrequest.contrib.cookies import CookieHandover

urlpatterns = [
    path("page/", views.page),
    path("tagged/", views.tagged),
    path("board/", views.board),
    path("board/<slug>/", views.note),
    path("card/<slug>/", views.card),
    path("numbers/<int:count>/", views.numbers),
    path("endless/", views.endless),
    path("wait/<name>/", views.wait),
    path("release/<name>/", views.release),
    path("counters/", views.counters),
    path("sign-in/", views.sign_in),
    path("who/", views.who),
    path("lobby/", views.who),
    path("cookies/", CookieHandover.as_view()),
]
