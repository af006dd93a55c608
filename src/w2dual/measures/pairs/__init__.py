"""Kinds of pairs of measures, one module each.

A module has `make(settings) -> Pair`, as a pair of your own does; or, where preparing a pair
takes work or files, `from_arrays(arrays, metadata, name) -> Pair`, and a module of the same
name in `w2dual.measures.preparation` that makes the arrays.
"""
