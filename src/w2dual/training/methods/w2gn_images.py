"""[W2] on images: W2GN with a part of both networks' layers dropped out in training.

The loss is that of `w2gn`, with a weight of its own; each of the six times that a network is
applied in it drops other parts, of the gradients that are maps too. Evaluation drops nothing.
Source: Korotin et al., NeurIPS 2021, W2_test_images_benchmark.ipynb, whose networks stay in
training mode.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
from jaxtyping import Array, Key

from w2dual import potentials, rng
from w2dual.measures.benchmark.generated import dual_and_cycle_losses
from w2dual.records import InputError
from w2dual.training.methods.base import Batches, Network, Params
from w2dual.training.methods.two_potentials import Both, BothState, Losses, Points, common, own
from w2dual.training.methods.w2gn import W2GN, Settings

NEEDS = ("potential",)
"""The parts of a cell's settings that it is made of."""


@dataclass(frozen=True)
class W2GNOnImages(W2GN):
    """The method; its potential takes keys of what it drops."""

    @property
    def networks(self) -> Mapping[str, Network]:
        """Those of `w2gn`; pre-training drops parts of D too."""
        found = super().networks
        noisy = {"potential": found["potential"]._replace(noisy_map=self.noisy_gradient)}
        return {**found, **noisy}

    def train(
        self, state: BothState, batches: Batches, over: str | None
    ) -> tuple[Both, Both, Losses]:
        """Take one step on D and C together."""
        x, y, keys = batches.source(), batches.target(), batches.more_keys()
        return self.step_both(self.noisy_loss, state, x, y, keys, over=over)

    def noisy_loss(
        self, params: Both, x: Points, y: Points, keys: Key[Array, " parts"]
    ) -> tuple[Array, Losses]:
        """Return the loss of one seed, and its parts: of the dual, and of the cycles, weighted."""
        calls = itertools.count()

        def dropping(of: Callable[..., Array], tree: Params) -> Callable[[Points], Array]:
            def apply(points: Points) -> Array:
                call = next(calls)
                return of(tree, points, jax.vmap(lambda key: rng.at(key, call))(keys))

            return apply

        dual, cycle = dual_and_cycle_losses(
            dropping(self.noisy_value, params.potential),
            dropping(self.noisy_gradient, params.potential),
            dropping(self.noisy_gradient, params.inverse),
            x,
            y,
        )
        loss = dual + self.weight * cycle
        return loss, Losses(loss, dual, self.weight * cycle)

    def noisy_value(self, params: Params, x: Points, keys: Key[Array, " parts"]) -> Array:
        """D(x) or C(x) of one seed with parts dropped."""
        return potentials.value(self.potential, params, x, keys)

    def noisy_gradient(self, params: Params, x: Points, keys: Key[Array, " parts"]) -> Points:
        """Grad D(x) or grad C(x) of one seed with parts dropped."""
        return jax.grad(lambda points: self.noisy_value(params, points, keys).sum())(x)


def make(settings: Mapping[str, Any], dimension: int) -> W2GNOnImages:
    """Build the method of a cell from its settings (`cells.Cell.settings`).

    Raises:
        InputError: a kind is unknown, settings do not fit, or the potential drops nothing.
    """
    method = W2GNOnImages(**common(settings, dimension), weight=own(Settings, settings).weight)
    if not hasattr(method.potential, "dropout"):
        raise InputError(
            f"method w2gn_images: the potential {settings['potential']['kind']} has no `dropout`; "
            "take conv_icnn, or the method w2gn, which drops nothing"
        )
    return method
