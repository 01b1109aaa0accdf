from django.core.management.commands.runserver import Command

__all__ = ["Command"]
