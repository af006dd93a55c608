"""[MM] on images: a potential D against a network H that is the conjugate's argmin itself.

As `maximin`, but H is a map of its own and no gradient: a step takes one step of D on
mean(D(x) - D(xi)) with xi = H(y) held fixed, then `inner` steps of H, each on fresh y, on
mean(D(H(y)) - <H(y), y>), D held fixed. T = grad D, and H is the inverse map. Each is fitted to the
identity by itself. H, which has batch normalisation, goes by a batch's own statistics while it is
fitted or moved, and by the running ones while D is, and in evaluation.
Source: Korotin et al., NeurIPS 2021, MM_test_images_benchmark.ipynb (Nhan Dam et al., IJCAI 2019).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from w2dual import extensions
from w2dual.amortization.models import make_model
from w2dual.records import InputError
from w2dual.training.methods import optimization
from w2dual.training.methods.base import Batch, Network, Params
from w2dual.training.methods.maximin import Maximin, Settings
from w2dual.training.methods.two_potentials import (
    Both,
    Points,
    common,
    own,
    slopes,
    whole,
)

NEEDS = ("potential", "amortization_model")
"""The parts of a cell's settings that it is made of."""
STATISTICS = "batch_stats"
"""Key of the running statistics beside those of the parameters, `params`, in H's."""


@dataclass(frozen=True)
class MaximinMap(Maximin):
    """The method; `Both.inverse` is H's."""

    map: nn.Module

    @property
    def networks(self) -> Mapping[str, Network]:
        """D, whose gradient begins as the identity, and H, which begins near it."""
        return {
            "potential": super().networks["potential"],
            "inverse": Network(
                "inverse map",
                self._init_map,
                lambda params, points: self.mapped_in_training(params, points)[0],
                observe=self.observed,
            ),
        }

    def pull(self, params: Both, y: Batch) -> Batch:
        """H(y) of each seed."""
        return jax.vmap(self.mapped)(params.inverse, y)

    def inner_step(
        self, inverse: Params, optimizer: Any, potential: Params, y: Batch, over: str | None
    ) -> tuple[Params, Any, Array]:
        """Take one step on H; its running statistics are those after the batch."""
        y = whole(y, over)  # statistics are of all of a batch
        gradient, (loss, statistics) = slopes(self.inner_loss, inverse, potential, y, over=over)
        moved, optimizer = jax.vmap(partial(optimization.moved, self.optimizer))(
            gradient, optimizer, inverse
        )
        return {**moved, STATISTICS: statistics}, optimizer, loss

    def inner_loss(
        self, inverse: Params, potential: Params, y: Points
    ) -> tuple[Array, tuple[Array, Params]]:
        """Return H's loss of one seed; and again, with the running statistics after it."""
        xi, statistics = self.mapped_in_training(inverse, y)
        loss = self.inner_mean(potential, xi, y)
        return loss, (loss, statistics)

    # -- H --------------------------------------------------------------------------------------

    def mapped(self, inverse: Params, y: Points) -> Points:
        """H(y) of one seed, by the running statistics."""
        return cast("Array", self.map.apply(inverse, y))

    def mapped_in_training(self, params: Params, y: Points) -> tuple[Points, Params]:
        """H(y) of one seed by the batch's own statistics, and the running ones after it."""
        image, moved = self.map.apply(params, y, True, mutable=[STATISTICS])
        return image, moved[STATISTICS]

    def observed(self, before: Params, moved: Params, points: Points) -> Params:
        """Return the parameters after a step with the running statistics that its points make."""
        return {**moved, STATISTICS: self.mapped_in_training(before, points)[1]}

    def _init_map(self, key: Array, points: Points) -> Params:
        return dict(self.map.init(key, points))


def make(settings: Mapping[str, Any], dimension: int) -> MaximinMap:
    """Build the method of a cell from its settings (`cells.Cell.settings`).

    Raises:
        InputError: a kind is unknown, settings do not fit, or the map keeps no running statistics.
    """
    model = make_model(settings["amortization_model"], dimension)
    kind = settings["amortization_model"]["kind"]
    points: Float[Any, "batch n"] = jax.ShapeDtypeStruct((2, dimension), jnp.float32)
    made = extensions.shapes(
        lambda points: model.init(jax.random.key(0), points),
        points,
        message=f"method maximin_map: cannot apply the map {kind} to points of R^{dimension}",
    )
    if set(made) != {"params", STATISTICS}:
        raise InputError(
            f"method maximin_map: the map {kind} has the collections {sorted(made)}; expected "
            f"params and {STATISTICS}, as of unet"
        )
    inner = own(Settings, settings).inner
    return MaximinMap(**common(settings, dimension), map=model, inner=inner)
