"""How good the potentials are that a hyper-network predicts for held-out pairs of images.

For psi convex and x, y the points of a pair, weak duality says

    E|x|^2 + E|y|^2 - 2 (E psi(x) + E psi*(y)) <= W2^2,

where W2^2 is the exact cost between the points, and equality means that grad psi is optimal. What
is lacking, in percent of W2^2, is the gap of the dual: that of the identity is 100. Here psi*(y) is
the largest <x, y> - psi(x) over the pair's own points x, which needs no solver; the study of
fine-tuning has conjugates over all colours (`studies.colour`). Inverse is the same of psi_bar, with
source and target in each other's place. Points are the pair's own, always the same.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from w2dual.backend import jit
from w2dual.config.cells import Cell
from w2dual.evaluation.base import CellEvaluation
from w2dual.measures import Pair
from w2dual.measures.pairs.palettes import Palettes, unit
from w2dual.potentials.quadratic_icnn import QuadraticICNN
from w2dual.records import InputError
from w2dual.training.methods import Method
from w2dual.training.methods.meta_w2gn import Instances, MetaW2GN
from w2dual.training.watch import Headline

Colours = Float[Array, "pairs points 3"]


class Values(NamedTuple):
    """Means over the held-out pairs, for each seed.

    Attributes:
        dual_gap_forward_percent, dual_gap_inverse_percent: of psi and of psi_bar; see above.
        cycle_forward, cycle_inverse: E|grad psi_bar(grad psi(x)) - x|^2, and the other way round.
    """

    dual_gap_forward_percent: Float[Array, " seeds"]
    dual_gap_inverse_percent: Float[Array, " seeds"]
    cycle_forward: Float[Array, " seeds"]
    cycle_inverse: Float[Array, " seeds"]


def make(method: Method[Any], pair: Pair, cell: Cell) -> CellEvaluation:
    """Build what evaluates a cell.

    Raises:
        InputError: the measures are no palettes, or the cell's settings name another number of
            points than they have.
    """
    if not isinstance(pair, Palettes) or not isinstance(method, MetaW2GN):
        raise InputError(
            f"cell {cell.name}: is of the method `meta_w2gn`, which needs a law over images, of "
            f"the kind `palettes`; its pair is a {type(pair).__name__}"
        )
    points = pair.test_source.shape[1]
    for name in ("samples", "history_samples"):
        if getattr(cell.evaluation, name) != points:
            raise InputError(
                f"cell {cell.name}: `settings.evaluation.{name}` is "
                f"{getattr(cell.evaluation, name)}; the held-out pairs have {points} points of "
                "each image (`measures.palettes.test_points`), and all count"
            )
    run = jit(partial(evaluate, method))

    def evaluator(params: Any, keys: Any, law: Any, samples: int) -> Values:
        del keys, samples
        return run(params, law)

    errors = Values._fields[:2]
    headline = Headline("dual_gap_forward_percent", "gap %")
    return CellEvaluation(method, pair, cell, headline, Values._fields, errors, evaluator)


def evaluate(method: MetaW2GN, params: Any, pair: Palettes) -> Values:
    """Return the figures of all seeds."""
    source, target = held_out(pair)
    x, y = unit(pair.test_source), unit(pair.test_target)
    exact = jnp.asarray(pair.exact, jnp.float32)

    def one(params: Any) -> Values:
        psi, psi_bar = method.predict(params, source, target)
        icnn = method.icnn
        return Values(
            jnp.mean(gap_percent(bound_on_samples(icnn, psi, x, y), exact)),
            jnp.mean(gap_percent(bound_on_samples(icnn, psi_bar, y, x), exact)),
            jnp.mean(cycle(icnn, psi, psi_bar, x)),
            jnp.mean(cycle(icnn, psi_bar, psi, y)),
        )

    return jax.vmap(one)(params)


def held_out(pair: Palettes) -> tuple[Instances, Instances]:
    """Return the images of the held-out pairs, with all colours that are kept of them.

    What is predicted may depend on these, and not on the points that it is judged by.
    """
    found = []
    for which in (pair.test_pairs[:, 0], pair.test_pairs[:, 1]):
        number = which.astype(jnp.float32)
        colours = unit(pair.pixels[which])
        found.append(Instances(number, jnp.full_like(number, -1.0), pair.encoding(which), colours))
    return found[0], found[1]


def bound(
    value: Float[Array, "*axes points"], conjugate: Float[Array, "*axes points"], x: Any, y: Any
) -> Float[Array, "*axes"]:
    """Return the bound on W2^2 that psi(x) and psi*(y) give."""
    norms = jnp.mean(jnp.sum(x**2, axis=-1), axis=-1) + jnp.mean(jnp.sum(y**2, axis=-1), axis=-1)
    return norms - 2.0 * (jnp.mean(value, axis=-1) + jnp.mean(conjugate, axis=-1))


def bound_on_samples(
    icnn: QuadraticICNN, psi: Float[Array, "pairs parameters"], x: Colours, y: Colours
) -> Float[Array, " pairs"]:
    """Return the bound with the conjugate over the points x; one pair after another, for memory."""

    def one(arguments: tuple[Array, Array, Array]) -> Array:
        vector, x, y = arguments
        value = icnn.value(vector, x)
        return bound(value, jnp.max(y @ x.T - value[None, :], axis=-1), x, y)

    return jax.lax.map(one, (psi, x, y))


def gap_percent(found: Float[Array, "*axes"], exact: Float[Array, "*axes"]) -> Array:
    """Return what a bound lacks of the exact cost, in percent of it."""
    return 100.0 * (1.0 - found / exact)


def cycle(icnn: QuadraticICNN, first: Array, second: Array, x: Colours) -> Float[Array, " pairs"]:
    """Return E|grad second(grad first(x)) - x|^2 of each pair."""
    there = icnn.gradient(first, x)
    return jnp.mean(jnp.sum((icnn.gradient(second, there) - x) ** 2, axis=-1), axis=-1)
