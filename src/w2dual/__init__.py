"""Amortized convex conjugates for optimal transport: the evaluation of Amos (2023)."""

__version__ = "0.1.0"
