"""What ``manage.py`` can do with topics."""
