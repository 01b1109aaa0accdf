"""What templates load by ``{% load wsrequest %}``."""
