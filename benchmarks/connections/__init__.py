"""Measures what a connection costs, and what connections do to each other.

``python -m benchmarks.connections`` runs everything in about five minutes, ``--short`` in under one.
The figures and their targets are in ``plan.py``.
"""
