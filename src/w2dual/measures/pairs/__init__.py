"""Pairs of measures of your own, one module each with `make(settings) -> Measures`."""
