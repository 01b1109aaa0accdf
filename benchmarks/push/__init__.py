"""Measures push: how fast events reach many subscribers, and how fast many subscribers catch up.

``python -m benchmarks.push`` runs everything in under six minutes, ``--short`` in under one.
The figures and their targets are in ``bench.py``.
"""
