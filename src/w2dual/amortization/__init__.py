"""Amortization: the model x_tilde that predicts the conjugate's argmin, and its losses.

Pure functions (Amos 2023, section 3.2). J_f(x; y) = f(x) - <x, y>. A loss of your own is one
module of this package with `make(settings)`, which gives a function from an `AmortizationBatch` to
a scalar; the config names it under `amortizations`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, cast

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from w2dual import extensions
from w2dual.activations import activation
from w2dual.records import InputError


class MLPWithSkip(nn.Module):
    """x_tilde(y) = y + MLP(y), so that it starts near the identity (Amos 2023, app. B.2)."""

    hidden: Sequence[int]
    activation: str

    @nn.compact
    def __call__(self, y: Float[Array, "batch n"]) -> Float[Array, "batch n"]:
        """Predict the conjugate's argmin for each y."""
        act = activation(self.activation)
        z = y
        for i, width in enumerate(self.hidden):
            z = act(nn.Dense(width, name=f"dense_{i}")(z))
        return y + nn.Dense(y.shape[-1], name=f"dense_{len(self.hidden)}")(z)


def make_model(settings: Mapping[str, Any]) -> nn.Module:
    """Build the amortization model from `hidden` and `activation`."""
    return MLPWithSkip(**{key: value for key, value in settings.items() if key != "kind"})


class AmortizationBatch(NamedTuple):
    """What a loss may use, for one batch.

    `potential` and `gradient` let gradients through to f's parameters, the `_fixed` ones do not.
    """

    potential_fixed: Callable[[Float[Array, "batch n"]], Float[Array, " batch"]]
    gradient: Callable[[Float[Array, "batch n"]], Float[Array, "batch n"]]
    gradient_fixed: Callable[[Float[Array, "batch n"]], Float[Array, "batch n"]]
    model: Callable[[Float[Array, "batch n"]], Float[Array, "batch n"]]
    x: Float[Array, "batch n"]
    y: Float[Array, "batch n"]
    x_tilde: Float[Array, "batch n"]
    x_hat: Float[Array, "batch n"]
    fine_tuned: bool


def objective(batch: AmortizationBatch) -> Float[Array, ""]:
    """Mean of J_f(x_tilde(y); y), f held fixed (Amos 2023, eq. 6)."""
    inner = jnp.sum(batch.x_tilde * batch.y, axis=-1)
    return jnp.mean(batch.potential_fixed(batch.x_tilde) - inner)


def cycle(batch: AmortizationBatch, weight: float) -> Float[Array, ""]:
    """First-order optimality, weight * mean (grad f(x_tilde(y)) - y)^2 over batch and coordinates.

    With fine-tuning f is held fixed. Without, this is the regularisation of Korotin et al. (W2GN,
    2019): f is not held fixed, and the reverse cycle (x_tilde(grad f(x)) - x)^2 is added.
    """
    if batch.fine_tuned:
        return weight * jnp.mean((batch.gradient_fixed(batch.x_tilde) - batch.y) ** 2)
    forward = jnp.mean((batch.gradient(batch.x_tilde) - batch.y) ** 2)
    reverse = jnp.mean((batch.model(batch.gradient(batch.x)) - batch.x) ** 2)
    return weight * (forward + reverse)


def regression(batch: AmortizationBatch) -> Float[Array, ""]:
    """Mean of (x_tilde(y) - x_hat(y))^2 over batch and coordinates, x_hat held fixed."""
    return jnp.mean((batch.x_tilde - batch.x_hat) ** 2)


LOSSES: dict[str, Callable[..., Float[Array, ""]]] = {
    "objective": objective,
    "cycle": cycle,
    "regression": regression,
}
"""The losses of the paper."""

Loss = Callable[[AmortizationBatch], Float[Array, ""]]


def make_loss(settings: Mapping[str, Any]) -> Loss | None:
    """Build the loss that the settings describe; None for kind `none`.

    Raises:
        InputError: there is no such kind, or its settings do not fit.
    """
    kind, rest = settings["kind"], extensions.without_kind(settings)
    if kind == "none":
        return None
    if kind in LOSSES:
        return partial(LOSSES[kind], **rest)
    loss = extensions.make(
        __name__,
        "amortization loss",
        "make(settings)",
        "a function from an `AmortizationBatch` to a scalar",
        kind,
        rest,
        others=("none", *LOSSES),
    )
    if not callable(loss):
        raise InputError(
            f"amortization loss kind {kind!r}: `make` gives {extensions.described(loss)}; expected "
            "a function from an `AmortizationBatch` to a scalar"
        )
    return cast("Loss", loss)
