"""DenseICNN as a potential that is trained, the network of the benchmark's own methods.

The network, and its start at N(0, 0.1^2), are those of the benchmark's pairs
(`measures.benchmark.icnn_dense`). With `convex` some weights have to be non-negative, and a method
clamps them by `project` after each step (Korotin et al., NeurIPS 2021, appendix B.1); before the
first step they are of both signs. Without it they stay so, as in [MM], [MM-B], [LS] and [QC].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from w2dual.measures.benchmark import icnn_dense

CLAMPED = ("convex", "final")
"""First word of the names of weights that convexity wants non-negative."""


class DenseICNN(nn.Module):
    """The network; see `icnn_dense`."""

    hidden: Sequence[int]
    strong_convexity: float
    convex: bool
    std: float = 0.1

    @nn.compact
    def __call__(self, x: Float[Array, "batch n"]) -> Float[Array, " batch"]:
        """Value f(x) for each point."""
        draw = nn.initializers.normal(self.std)
        wanted = icnn_dense.shapes(x.shape[-1], self.hidden)
        weights = icnn_dense.assemble(
            {name: self.param(name, draw, shape) for name, shape in wanted.items()}
        )
        return icnn_dense.values(weights, self.strong_convexity, x)

    def project(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters with negative weights at 0 where convexity wants none."""
        return {
            name: jnp.maximum(leaf, 0)
            if self.convex and name.partition(".")[0] in CLAMPED
            else leaf
            for name, leaf in params.items()
        }


def make(settings: Mapping[str, Any], dimension: int) -> nn.Module:
    """Build the network from `hidden`, `strong_convexity` and `convex`."""
    del dimension  # the first batch has it
    return DenseICNN(**settings)
