"""How good predicted potentials of entropic transport are, on measures that were not trained on."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from w2dual import rng
from w2dual.backend import jit
from w2dual.config.cells import Cell
from w2dual.entropic import geometry, semi_dual, sinkhorn
from w2dual.entropic.sinkhorn import Relaxation
from w2dual.evaluation.base import CellEvaluation
from w2dual.measures import Pair
from w2dual.training.methods import Method
from w2dual.training.methods.meta_dual import MetaDual
from w2dual.training.watch import Headline

AT_ONCE = 4
"""Pairs whose kernels are in memory at once; a dense one is n_a x n_b numbers."""


class Quality(NamedTuple):
    """Of each seed, means over pairs of measures.

    Attributes:
        marginal_error: ||a - P 1||_1 of the plan of the prediction.
        first_error: ||b - P' 1||_1 after one iteration of Sinkhorn from it.
        dual_objective: of the prediction, with relative entropies, in the unit of the cost.
    """

    marginal_error: Float[Array, " seeds"]
    first_error: Float[Array, " seeds"]
    dual_objective: Float[Array, " seeds"]


def make(method: Method[Any], pair: Pair, cell: Cell) -> CellEvaluation:
    """Build what evaluates a cell of the method `meta_dual`."""
    assert isinstance(method, MetaDual)  # noqa: S101  (its own module names this one)
    columns = Quality._fields
    headline = Headline("first_error", "error after one iteration")
    errors = ("marginal_error", "first_error")
    return CellEvaluation(method, pair, cell, headline, columns, errors, evaluator(method))


def evaluator(method: MetaDual) -> Any:
    """Return the function from parameters, keys, the pair and a number of pairs to `Quality`."""

    def one_seed(params: Any, key: Key[Array, ""], pair: Any, samples: int) -> Quality:
        fresh, support = pair.held_out(), pair.support
        a = fresh.sample_source(rng.at(key, 0), samples)
        b = fresh.sample_target(rng.at(key, 1), samples)
        u = method.predict(params, support, a, b)
        kernel = geometry.make(support)

        def judge(instance: tuple[Array, Array, Array]) -> Quality:
            u, a, b = instance
            u = semi_dual.masked(u, a)
            at = semi_dual.evaluate(kernel, u, a, b)
            first = sinkhorn.errors(kernel, a, b, u, 1, Relaxation())[0]
            value = support.epsilon * semi_dual.relative_entropy_form(kernel, u, a, b)
            return Quality(at.error, first, value)

        found = jax.lax.map(judge, (u, a, b), batch_size=AT_ONCE)
        return jax.tree.map(jnp.mean, found)

    @partial(jit, static_argnums=3)
    def of_all(params: Any, keys: Key[Array, " seeds"], pair: Any, samples: int) -> Quality:
        return jax.vmap(one_seed, (0, 0, None, None))(params, keys, pair, samples)

    return of_all
