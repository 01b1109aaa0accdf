"""Measures live: what tracking costs reads and writes, and how fast a commit reaches those who watch.

``python -m benchmarks.live`` runs everything in under six minutes, ``--short`` in under one.
The figures and their targets are in ``bench.py``.
"""
