"""Fits of the network of paths: each seed stops for itself, and counts its own steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from w2dual.paths.action import Rule
from w2dual.paths.network import PathNetwork
from w2dual.training.path_training import Fitted, PathSettings, PathTraining

RULE = Rule(3)
MOST = 7
STOP = 1e-2
"""The average begins at 1 and keeps a tenth of itself: without a gradient it is below at step 3."""
SETTINGS = PathSettings(
    *((4,), "elu", 4, "c2", 1e-3, 1.0), 0, refit_every=1, refit_steps=0, last_refit=0, stop=STOP
)
TRAINING = PathTraining(PathNetwork((4,), "elu", 4, "c2", RULE, 2), SETTINGS, iterations=1)


@dataclass(frozen=True)
class Weighted:
    """A cost of paths that has a weight for each seed; with 0 it has no gradient."""

    weights: jax.Array
    rule: Rule = RULE

    def segment(self, p: Any, q: Any) -> Any:
        raise NotImplementedError

    def cost(self, path: Any) -> Any:
        raise NotImplementedError

    def loss(self, path: Any) -> Any:
        return self.weights[:, None] * jnp.sum(path**2, axis=(0, 1))


def test_a_seed_counts_the_steps_of_a_fit_that_it_took_itself():
    ends = jax.random.normal(jax.random.key(0), (2, 2, 5, 2))

    @jax.jit
    def fitted(weights: Any, keys: Any) -> tuple[Fitted, Any, Fitted]:
        params = jax.vmap(lambda key: TRAINING.network.init(key, ends[0, 0]))(keys)
        start = Fitted(params, jax.vmap(TRAINING.optimizer.init)(params))
        points = ends[0, : len(weights)], ends[1, : len(weights)]
        most = jnp.int32(MOST)
        return *TRAINING.fit(start, lambda _: points, Weighted(weights), most, None), start

    keys = jax.random.split(jax.random.key(1))
    both, steps, start = fitted(jnp.array([1.0, 0.0]), keys)
    alone, steps_alone, _ = fitted(jnp.array([1.0]), keys[:1])

    np.testing.assert_array_equal(steps, [MOST, 3])
    np.testing.assert_array_equal(steps_alone, [MOST])
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a[:1], b, rtol=1e-6, atol=1e-7),
        both.params,
        alone.params,
    )
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a[1], b[1]), both.params, start.params)
