"""What runs inside the process of somebody else's test suite.

This package is put on ``PYTHONPATH`` under a name of its own, because Django REST framework's
suite is a package named ``tests`` itself.
"""
