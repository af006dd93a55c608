"""How good a map is against the known truth: L2-UVP, cosine, and the state of the conjugation.

L2-UVP = 100 E||T(x) - T*(x)||^2 / Var(beta); cosine = E<T*(x) - x, T(x) - x> /
sqrt(E||T*(x) - x||^2 E||T(x) - x||^2), with the truth's cost frozen in the prepared pair
(Korotin et al. 2021, section 4.2). Inverse: the same with x and y = T*(x) in each other's place.

How good the solver's start x_tilde is, is the amortization gap, the mean of J_f(x_tilde(y); y) -
J_f(x_hat(y); y), and the mean of max|grad J_f| at x_tilde(y). Without a solver there is no x_hat
to compare with, and the gap is not a number. Of a method that has no conjugate, none of what is
said of conjugates is a number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from w2dual import rng
from w2dual.backend import jit
from w2dual.conjugate import Status
from w2dual.training.methods import Conjugating, Method

BLOCK = 2048
"""Points evaluated at once, where a cell's settings say nothing else."""


class Evaluation(NamedTuple):
    """Of each seed, on fresh samples."""

    l2_uvp_forward_percent: Float[Array, " seeds"]
    l2_uvp_inverse_percent: Float[Array, " seeds"]
    cosine_forward: Float[Array, " seeds"]
    cosine_inverse: Float[Array, " seeds"]
    dual_objective: Float[Array, " seeds"]
    conjugate_iterations_mean: Float[Array, " seeds"]
    amortization_gap_mean: Float[Array, " seeds"]
    start_gradient_norm_mean: Float[Array, " seeds"]
    conjugate_gradient_norm_median: Float[Array, " seeds"]
    conjugate_gradient_norm_max: Float[Array, " seeds"]
    conjugate_status_counts: Int[Array, "seeds statuses"]


class _Sums(NamedTuple):
    error_forward: Array
    error_inverse: Array
    inner_forward: Array
    inner_inverse: Array
    moved_forward: Array
    moved_inverse: Array
    dual: Array
    iterations: Array
    gap: Array
    start_norm: Array


class _Maps(NamedTuple):
    """Where points go, (seeds, block, n), and of each point how its conjugate fared."""

    pushed: Array
    pulled: Array
    dual: Array
    iterations: Array
    gap: Array
    start_norm: Array
    norm: Array
    status: Array


def _maps(method: Method[Any], params: Any, x: Array, y: Array) -> _Maps:
    if not isinstance(method, Conjugating):
        unknown = jnp.full(x.shape[:2], jnp.nan)
        return _Maps(
            pushed=method.push(params, x),
            pulled=method.pull(params, y),
            dual=unknown,
            iterations=unknown,
            gap=unknown,
            start_norm=unknown,
            norm=unknown,
            status=jnp.full(x.shape[:2], -1, jnp.int32),  # none of them
        )
    result = method.conjugate(params, y)
    value, pushed = method.oracle(params)(x)
    start_value, start_gradient = method.objective(params, method.amortized(params, y), y)
    return _Maps(
        pushed=pushed,
        pulled=result.x,
        dual=result.value - value,
        iterations=result.iterations.astype(jnp.float32),
        gap=start_value - result.value,
        start_norm=jnp.max(jnp.abs(start_gradient), axis=-1),
        norm=result.gradient_norm,
        status=result.status,
    )


def evaluator(
    method: Method[Any], most_samples: int, block: int = BLOCK
) -> Callable[[Any, Key[Array, " seeds"], Any, int], Evaluation]:
    """Return a function of (params, one key per seed, pair, samples) that evaluates every seed.

    One compiled program serves any number of samples up to `most_samples`: points are drawn in
    blocks, an incomplete last block being cut to size. The pair of measures is an argument, so
    that its arrays are not compiled in.

    Args:
        method: what is evaluated.
        most_samples: points of a call at most.
        block: points evaluated at once, which memory grows with.
    """
    block = min(block, most_samples)
    most_blocks = -(-most_samples // block)
    solved = isinstance(method, Conjugating) and method.solver is not None

    def one_block(
        params: Any, key: Array, pair: Any, index: Array, samples: Array
    ) -> tuple[_Sums, Array, Array]:
        keys = jax.vmap(rng.at, (0, None))(key, index)
        x = jax.vmap(lambda k: pair.sample_source(k, block))(keys)
        y = pair.ground_truth(x)
        kept = ((index * block + jnp.arange(block)) < samples)[None]
        found = _maps(method, params, x, y)

        def total(values: Array) -> Array:
            return jnp.sum(jnp.where(kept, values, 0.0), axis=1)

        def square(vectors: Array) -> Array:
            return jnp.sum(vectors**2, axis=-1)

        sums = _Sums(
            error_forward=total(square(found.pushed - y)),
            error_inverse=total(square(found.pulled - x)),
            inner_forward=total(jnp.sum((y - x) * (found.pushed - x), axis=-1)),
            inner_inverse=total(jnp.sum((x - y) * (found.pulled - y), axis=-1)),
            moved_forward=total(square(found.pushed - x)),
            moved_inverse=total(square(found.pulled - y)),
            dual=total(found.dual),
            iterations=total(found.iterations),
            gap=total(found.gap),
            start_norm=total(found.start_norm),
        )
        norm = jnp.where(kept, found.norm, jnp.nan)
        return sums, norm, jnp.where(kept, found.status, -1)

    def run(params: Any, key: Key[Array, " seeds"], pair: Any, samples: Array) -> Evaluation:
        seeds = key.shape[0]

        def add(index: Array, carry: tuple[_Sums, Array, Array]) -> tuple[_Sums, Array, Array]:
            sums, norms, counts = carry
            new, norm, status = one_block(params, key, pair, index, samples)
            new_counts = jnp.stack([jnp.sum(status == s, axis=1) for s in Status], axis=1)
            return (
                jax.tree.map(jnp.add, sums, new),
                norms.at[:, index].set(norm),
                counts + new_counts,
            )

        start = (
            _Sums(*(jnp.zeros(seeds) for _ in _Sums._fields)),
            jnp.full((seeds, most_blocks, block), jnp.nan),
            jnp.zeros((seeds, len(Status)), jnp.int32),
        )
        sums, norms, counts = jax.lax.fori_loop(0, -(-samples // block), add, start)
        mean = jax.tree.map(lambda leaf: leaf / samples, sums)
        norms = norms.reshape(seeds, -1)
        return Evaluation(
            l2_uvp_forward_percent=100 * mean.error_forward / pair.var_target,
            l2_uvp_inverse_percent=100 * mean.error_inverse / pair.var_source,
            cosine_forward=mean.inner_forward / jnp.sqrt(2 * pair.cost * mean.moved_forward),
            cosine_inverse=mean.inner_inverse / jnp.sqrt(2 * pair.cost * mean.moved_inverse),
            dual_objective=mean.dual,
            conjugate_iterations_mean=mean.iterations,
            amortization_gap_mean=mean.gap if solved else jnp.full(seeds, jnp.nan),
            start_gradient_norm_mean=mean.start_norm,
            conjugate_gradient_norm_median=jnp.nanmedian(norms, axis=1),
            conjugate_gradient_norm_max=jnp.nanmax(norms, axis=1),
            conjugate_status_counts=counts,
        )

    compiled = jit(run)

    def evaluate(params: Any, key: Key[Array, " seeds"], pair: Any, samples: int) -> Evaluation:
        if not 0 < samples <= most_samples:
            raise ValueError(f"samples = {samples}; expected 1 to {most_samples}")
        return compiled(params, key, pair, jnp.asarray(samples, jnp.int32))

    return evaluate
