"""What a cost is to the conjugate solvers."""

from __future__ import annotations

from typing import Any, Protocol

from jaxtyping import Array, Float

Vectors = Float[Array, "n seeds lanes"]
Lanes = Float[Array, "seeds lanes"]


class Cost(Protocol):
    """c(x, y), a function of many points x and of a context y of each.

    The context is an array or a tree of arrays, as whoever calls `conjugate.solve` gives it: the
    other end point, or that and more. The driver hands it over as it does x: the coordinates of
    each leaf first, then seeds and lanes. What all points share, such as the parameters of a
    network that predicts a path, is the cost's own.
    """

    def value_and_gradient(self, x: Vectors, context: Any) -> tuple[Lanes, Vectors]:
        """Return c(x, y) and its gradient in x, for each lane.

        Args:
            x: points, (n, seeds, lanes).
            context: leaves of shape (any number, seeds, lanes).
        """
        ...
