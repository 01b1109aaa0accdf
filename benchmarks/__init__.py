"""Measures what a request costs over a WebSocket, beside Django's own ways of serving it.

``python -m benchmarks`` runs everything in about six minutes, ``--short`` in under one.
What is compared and what must come out is in ``plan.py``.
"""
