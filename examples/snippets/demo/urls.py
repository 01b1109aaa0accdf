"""The demo's URLs. The socket is not among them: it has none of its own, and reaches all of these."""

from __future__ import annotations

from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path
from rest_framework.routers import DefaultRouter

from snippets.figures import FiguresView
from snippets.views import IndexView, SessionView, SnippetViewSet

router = DefaultRouter()
router.register("snippets", SnippetViewSet)

urlpatterns = [
    path("", IndexView.as_view(), name="index"),
    path("accounts/login/", LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("accounts/logout/", LogoutView.as_view(), name="logout"),
    path("api/session/", SessionView.as_view(), name="session"),
    path("api/figures/", FiguresView.as_view(), name="figures"),
    path("api/", include(router.urls)),
]
