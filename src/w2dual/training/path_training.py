"""How the network of paths is trained beside a dual: one step at a time, and by fits of many steps.

Its loss is the mean of what the predicted paths cost. A fit runs on the device until a seed's
gradient has become small, or for a number of steps; seeds stop each for itself. Of the gradient the
rule of the published code sees the first layer's bias alone, as an average that weighs the newest
with 0.9. Source: Pooladian et al. (UAI 2024), with the settings of its code.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from w2dual.paths.action import Lagrangian, joined, line
from w2dual.paths.network import PathNetwork

Batch = Float[Array, "seeds batch n"]
NEWEST = 0.9
"""Weight of the newest gradient in the average that the stopping rule looks at."""


@dataclass(frozen=True)
class PathSettings:
    """Of the network of paths and its training.

    Attributes:
        hidden: widths.
        activation: of the hidden layers.
        knots: of the spline.
        basis: of the splines.
        learning_rate: of Adam, constant.
        clip: of the gradient's norm.
        initial_steps: of the fit before the first step of the dual, at most.
        refit_every: steps of the dual between two fits.
        refit_steps: of a fit, at most.
        last_refit: steps before the end of training without a fit.
        stop: average of the first bias' gradient's norm below which a fit ends.
    """

    hidden: tuple[int, ...]
    activation: str
    knots: int
    basis: str
    learning_rate: float
    clip: float
    initial_steps: int
    refit_every: int
    refit_steps: int
    last_refit: int
    stop: float


class Fitted(NamedTuple):
    """Parameters and optimiser of the network of all seeds."""

    params: Any
    optimizer: Any


class _Fit(NamedTuple):
    fitted: Fitted
    average: Float[Array, " seeds"]
    running: Array
    taken: Int[Array, " seeds"]
    steps: Int[Array, ""]


@dataclass(frozen=True, eq=False)
class PathTraining:
    """The network, its settings, and how many steps the dual has."""

    network: PathNetwork
    settings: PathSettings
    iterations: int

    @property
    def optimizer(self) -> optax.GradientTransformation:
        """Adam on a clipped gradient."""
        adam = optax.flatten(optax.adam(self.settings.learning_rate))
        return optax.chain(optax.clip_by_global_norm(self.settings.clip), adam)

    def loss(self, params: Any, x: Batch, y: Batch, lagrangian: Lagrangian) -> Float[Array, " s"]:
        """Return the mean loss of each seed's predicted paths."""
        first, last = jnp.moveaxis(x, -1, 0), jnp.moveaxis(y, -1, 0)
        straight = line(first, last, lagrangian.rule)
        path = joined(first, straight + self.network.deviation(params, x, y), last)
        return jnp.mean(lagrangian.loss(path), axis=-1)

    def step(
        self, fitted: Fitted, x: Batch, y: Batch, lagrangian: Lagrangian, over: str | None
    ) -> tuple[Fitted, Float[Array, " seeds"], Any]:
        """Take one step on given ends.

        Returns:
            The new network, its loss before the step, and the gradient.
        """

        def total(params: Any) -> tuple[Array, Array]:
            losses = self.loss(params, x, y, lagrangian)
            return jnp.sum(losses), losses

        gradient, losses = jax.grad(total, has_aux=True)(fitted.params)
        if over is not None:
            gradient, losses = jax.lax.pmean((gradient, losses), over)

        def one(gradient: Any, state: Any, old: Any) -> tuple[Any, Any]:
            updates, state = self.optimizer.update(gradient, state, old)
            return optax.apply_updates(old, updates), state

        params, optimizer = jax.vmap(one)(gradient, fitted.optimizer, fitted.params)
        return Fitted(params, optimizer), losses, gradient

    def steps_due(self, step: Int[Array, ""]) -> Int[Array, ""]:
        """Return how many steps a fit before the dual's step of this number may take; mostly 0."""
        own = self.settings
        due = (step % own.refit_every == 0) & (step < self.iterations - own.last_refit)
        return jnp.where(step == 0, own.initial_steps, jnp.where(due, own.refit_steps, 0))

    def fit(
        self,
        fitted: Fitted,
        ends: Callable[[Int[Array, ""]], tuple[Batch, Batch]],
        lagrangian: Lagrangian,
        most: Int[Array, ""],
        over: str | None,
    ) -> tuple[Fitted, Int[Array, " seeds"]]:
        """Fit the network to fresh pairs of points.

        Args:
            fitted: the network.
            ends: draws the ends of a step's paths, by its number.
            lagrangian: what paths cost.
            most: steps, at most; 0 for no fit.
            over: as of `Method.update`.

        Returns:
            The network, and the steps that each seed took.
        """

        def body(fit: _Fit) -> _Fit:
            x, y = ends(fit.steps)
            new, _, gradient = self.step(fit.fitted, x, y, lagrangian, over)
            norm = jnp.linalg.norm(gradient["dense_0"]["bias"], axis=-1)
            average = NEWEST * norm + (1 - NEWEST) * fit.average
            keep = partial(_choose, fit.running)
            return _Fit(
                jax.tree.map(keep, new, fit.fitted),
                average,
                fit.running & (average >= self.settings.stop),
                fit.taken + fit.running,
                fit.steps + 1,
            )

        seeds = jax.tree.leaves(fitted.params)[0].shape[0]
        none = jnp.zeros(seeds, jnp.int32)
        start = _Fit(fitted, jnp.ones(seeds), jnp.ones(seeds, bool), none, jnp.int32(0))
        found = jax.lax.while_loop(
            lambda fit: jnp.any(fit.running) & (fit.steps < most), body, start
        )
        return found.fitted, found.taken


def _choose(pick: Array, new: Array, old: Array) -> Array:
    return jnp.where(pick.reshape(pick.shape + (1,) * (new.ndim - 1)), new, old)
