"""Django's and Django REST framework's own test suites, each request sent as a message.

``python -m tests.suites`` fetches both suites (their sdists, kept under ``build/suites/``), runs
them as they are, then runs them with Django's test client sending messages, and compares the two
test by test. See :mod:`tests.suites.__main__` for what makes it fail.
"""
