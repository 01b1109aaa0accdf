"""The test project's settings, and the packages by which people log in."""

from __future__ import annotations

from tests.project.settings import *  # noqa: F403
from tests.project.settings import INSTALLED_APPS, MIDDLEWARE

SECRET_KEY = "not a secret: only tests use it, and PyJWT wants it to be long"

INSTALLED_APPS = [
    *INSTALLED_APPS,
    "rest_framework.authtoken",
    "rest_framework_simplejwt",
    "rest_framework_jwt",
    "allauth",
    "allauth.account",
    "allauth.headless",
]

MIDDLEWARE = [
    *MIDDLEWARE,
    "allauth.account.middleware.AccountMiddleware",
    "tests.identity.project.middleware.api_key",
]

ROOT_URLCONF = "tests.identity.project.urls"

AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_RATE_LIMITS = False
HEADLESS_ONLY = True
HEADLESS_FRONTEND_URLS = dict.fromkeys(
    ("account_confirm_email", "account_reset_password_from_key"), "/"
)

# As it was in 2014; drf-jwt itself has moved on to "Bearer".
JWT_AUTH = {"JWT_AUTH_HEADER_PREFIX": "JWT"}
