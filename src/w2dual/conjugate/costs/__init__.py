"""Costs c(x, y) in what a conjugate solver minimises, J_f(x; y) = f(x) + c(x, y): one file each."""

from w2dual.conjugate.costs.base import Cost
from w2dual.conjugate.costs.inner_product import InnerProduct
from w2dual.conjugate.costs.squared_euclidean import SquaredEuclidean

__all__ = ["Cost", "InnerProduct", "SquaredEuclidean"]
