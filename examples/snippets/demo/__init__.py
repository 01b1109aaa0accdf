"""The demo project: settings, urls and the ASGI application."""
