"""A small Django project: the one that the tests run messages through."""
