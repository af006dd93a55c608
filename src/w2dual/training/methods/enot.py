"""ENOT: the dual with the gradient of a second potential for the conjugate, held by an expectile.

One network gives the map and the other the values; they swap roles, and source and target with
them, at every step. With phi the one that gives the map, psi the other, T = grad phi and sg what is
held fixed, the loss of a batch of x and y, matched by their place in it, is

    mean[ psi(y) + <x, sg T(x)> - psi(sg T(x)) ]          the dual, for psi
    + mean[ psi_fixed(T(x)) - <x, T(x)> ]                 the amortization, for phi
    + weight mean[ L(d) ]                                 the regularisation, for psi
    d = <x, y> - (<x, sg T(x)> - psi(sg T(x))) - psi(y)
    L(d) = tau d^2 where d >= 0, else (1 - tau) d^2

d > 0 is where phi's conjugate and psi violate the constraint of the dual. At the end grad phi is
the map and grad psi the inverse one. Both optimisers advance at every step.

The published code states the regularisation twice, each time with one half of d held fixed: twice
the value, and the same gradient. It is written for the squared distance, with potentials
|x|^2 - 2 phi(x), whose loss is twice this one where its weight is half of ours.

Source: Buzun, Bobrin and Dylov, NeurIPS 2024; OTT-JAX, `expectile_neural_dual`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.lax import stop_gradient
from jaxtyping import Array, Bool, Float

from w2dual import potentials
from w2dual.training.methods.base import Batches, Network
from w2dual.training.methods.two_potentials import (
    Both,
    BothState,
    Points,
    TwoPotentials,
    common,
    own,
)

NEEDS = ("potential",)
"""The parts of a cell's settings that it is made of."""


@dataclass(frozen=True)
class Settings:
    """Of `settings.method`, besides its kind.

    Attributes:
        expectile: tau, from 0.5 to 1; at 1 only violations of the constraint are penalised.
        weight: of the regularisation, for the cost -<x, y>.
        pairs: whether y is the true image T*(x) of each x, which nobody has who needs a map: what
            the published code's loader gives, for a diagnosis. False for independent batches.
    """

    expectile: float
    weight: float
    pairs: bool = False


class Terms(NamedTuple):
    """Of one update, for each seed: the loss, which is judged, and its terms."""

    loss: Float[Array, " seeds"]
    dual: Float[Array, " seeds"]
    amortization: Float[Array, " seeds"]
    regularisation: Float[Array, " seeds"]


class Roles(NamedTuple):
    """Parameters of the network that gives the map, and of the one that gives values."""

    mapping: Any
    valuing: Any


@dataclass(frozen=True)
class ENOT(TwoPotentials):
    """The method."""

    settings: Settings
    metrics = Terms

    @property
    def networks(self) -> Mapping[str, Network]:
        """Both potentials, each drawn by itself; neither is pre-trained."""
        return {
            "potential": Network("potential", partial(potentials.initial, self.potential)),
            "inverse": Network("inverse", partial(potentials.initial, self.potential)),
        }

    def train(self, state: BothState, batches: Batches, over: str | None) -> tuple[Both, Both, Any]:
        """Take one step on both networks, whose roles are swapped at every second step."""
        x = batches.source()
        y = batches.truth(x) if self.settings.pairs else batches.target()
        backwards = state.step % 2 == 1
        x, y = _swapped(backwards, (x, y))
        roles = state._replace(
            params=Both(*_swapped(backwards, state.params)),
            optimizer=Both(*_swapped(backwards, state.optimizer)),
        )
        params, optimizer, terms = self.step_both(self.loss, roles, x, y, over=over)
        back = partial(_swapped, backwards)
        return Both(*back(params)), Both(*back(optimizer)), terms

    def loss(self, params: Both, x: Points, y: Points) -> tuple[Array, Terms]:
        """Return the loss of one seed and its terms; `params.potential` gives the map."""
        roles = Roles(*params)
        image = self.gradient(roles.mapping, x)
        held = stop_gradient(image)
        conjugate = jnp.sum(x * held, axis=-1) - self.value(roles.valuing, held)
        values = self.value(roles.valuing, y)
        dual = jnp.mean(values + conjugate)
        fixed = self.value(stop_gradient(roles.valuing), image)
        amortization = jnp.mean(fixed - jnp.sum(x * image, axis=-1))
        excess = jnp.sum(x * y, axis=-1) - conjugate - values
        regularisation = self.settings.weight * jnp.mean(self.expectile(excess))
        loss = dual + amortization + regularisation
        return loss, Terms(loss, dual, amortization, regularisation)

    def expectile(self, excess: Float[Array, " batch"]) -> Float[Array, " batch"]:
        """Return L(d): the square, weighted by tau where d is not negative, else by 1 - tau."""
        tau = self.settings.expectile
        return jnp.where(excess >= 0, tau, 1 - tau) * excess**2


def _swapped(swap: Bool[Array, ""], both: tuple[Any, Any]) -> tuple[Any, Any]:
    """Return two trees of the same shapes in each other's place, if `swap`."""
    one, other = both

    def pick(if_swapped: Array, else_: Array) -> Array:
        return jnp.where(swap, if_swapped, else_)

    return jax.tree.map(pick, other, one), jax.tree.map(pick, one, other)


def make(settings: Mapping[str, Any], dimension: int) -> ENOT:
    """Build the method of a cell from its settings (`cells.Cell.settings`).

    Raises:
        InputError: a kind is unknown or settings do not fit.
    """
    return ENOT(**common(settings, dimension), settings=own(Settings, settings))
