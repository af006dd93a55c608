"""Evaluations that a method or a pair of measures asks for by name, one module a kind.

A module has `make(method, pair, cell) -> CellEvaluation`. The module of a method
(`w2dual.training.methods`), else that of a pair (`w2dual.measures.pairs`), names it by a line
`EVALUATION = "KIND"`, which is read without importing it, so it has to be written out. Where
neither does, maps are evaluated against the optimal one, or by samples (`evaluation.cell`).
"""
