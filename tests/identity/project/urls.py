"""For each package the views by which it lets people in, and one that says who came."""

from __future__ import annotations

from django.urls import include, path
from rest_framework.authentication import SessionAuthentication, TokenAuthentication
from rest_framework.authtoken.views import obtain_auth_token
from rest_framework_jwt.authentication import JSONWebTokenAuthentication
from rest_framework_jwt.views import obtain_jwt_token
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.views import TokenObtainPairView

from tests.identity.project import views

urlpatterns = [
    path("who/", views.who),
    path("who/async/", views.awho),
    path("who/drf-session/", views.Who.as_view(authentication_classes=[SessionAuthentication])),
    path("who/drf-token/", views.Who.as_view(authentication_classes=[TokenAuthentication])),
    path("who/simplejwt/", views.Who.as_view(authentication_classes=[JWTAuthentication])),
    path("who/drf-jwt/", views.Who.as_view(authentication_classes=[JSONWebTokenAuthentication])),
    path("who/nobody/", views.Who.as_view(authentication_classes=[])),
    path("drf-token/", obtain_auth_token),
    path("drf-token/revoke/", views.revoke),
    path("simplejwt/", TokenObtainPairView.as_view()),
    path("drf-jwt/", obtain_jwt_token),
    path("simplejwt/short/<int:seconds>/", views.short_token),
    path("log-in/", views.log_in),
    path("_allauth/", include("allauth.headless.urls")),
    path("connection/", views.connection),
    path("people/", views.people),
    path("control/", views.control),
]
