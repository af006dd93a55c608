"""Dual potentials f: R^n -> R. The models x_tilde are in `w2dual.amortization.models`.

A kind of potential is one module of this package with a function
`make(settings: dict, dimension: int) -> flax.linen.Module`, whose module maps points of shape
(batch, n) to values of shape (batch,). The name in the config is the module's name. One whose
parameters may not be what they like has `project(params) -> params`, for after each step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from w2dual import extensions
from w2dual.config import kinds

Params = Mapping[str, Any]


def make(settings: Mapping[str, Any], dimension: int) -> nn.Module:
    """Build the potential that the settings describe, for points in R^dimension.

    Raises:
        InputError: there is no such kind, or its settings do not fit.
    """
    kind = settings["kind"]
    potential = extensions.make(
        __name__,
        "potential",
        "make(settings, dimension)",
        "a flax module",
        kind,
        extensions.without_kind(settings),
        dimension,
        known=lambda: kinds.of("potentials"),
    )
    _check(potential, kind, dimension)
    return potential


def _check(module: Any, kind: str, dimension: int) -> None:
    """Check that a potential maps points to numbers, without computing anything."""
    if not isinstance(module, nn.Module):
        extensions.refuse(
            "potential",
            kind,
            f"`make` gives {extensions.described(module)}",
            "expected a flax.linen.Module",
        )
    points = jax.ShapeDtypeStruct((3, dimension), jnp.float32)
    output, variables = extensions.shapes(
        lambda points: module.init_with_output(jax.random.key(0), points),
        points,
        message=f"potential kind {kind!r}: cannot be applied to points of shape (3, {dimension})",
    )
    if not extensions.is_array(output, (3,)):
        extensions.refuse(
            "potential",
            kind,
            f"maps points of shape (3, {dimension}) to {extensions.described(output)}",
            "expected shape (3,), one number f(x) for each point, as of `jnp.squeeze(z, -1)`",
        )
    if set(variables) != {"params"}:
        extensions.refuse(
            "potential",
            kind,
            f"has the collections {sorted(variables)}",
            "expected parameters and nothing else, as of `self.param` or a layer; a potential "
            "that keeps a state cannot be trained",
        )


class Affine(nn.Module):
    """A linear layer x W + b, its output times `scale` where one is given.

    Parameters are those of `flax.linen.Dense`. It is the weights that are scaled, which are fewer
    than the batch's numbers.
    """

    features: int
    kernel_init: nn.initializers.Initializer = nn.initializers.lecun_normal()

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch inputs"], scale: Float[Array, " features"] | None = None
    ) -> Float[Array, "batch features"]:
        """Apply the layer."""
        kernel = self.param("kernel", self.kernel_init, (x.shape[-1], self.features))
        bias = self.param("bias", nn.initializers.zeros_init(), (self.features,))
        if scale is not None:
            kernel, bias = kernel * scale[None], bias * scale
        return x @ kernel + bias[None]


class QuadraticTerm(nn.Module):
    """1/2 exp(log_alpha) ||x||^2 with log_alpha learned, at the start 0 (Amos 2023, app. B)."""

    @nn.compact
    def __call__(self, x: Float[Array, "batch n"]) -> Float[Array, " batch"]:
        """Evaluate the term at each point."""
        log_alpha = self.param("log_alpha", nn.initializers.zeros_init(), ())
        return 0.5 * jnp.exp(log_alpha) * jnp.sum(x * x, axis=-1)


def initial(module: nn.Module, key: Array, points: Float[Array, "batch n"]) -> Params:
    """Draw the parameters of a network that keeps no state; of points only the shape counts."""
    return module.init(key, points)["params"]


def value(
    module: nn.Module, params: Params, x: Float[Array, "batch n"], *more: Any
) -> Float[Array, " batch"]:
    """Value f(x) for each point; `more` is what else a network takes, as keys of its dropout."""
    return applied(module, params, x, *more)


def applied(
    module: nn.Module, params: Params, x: Float[Array, "batch n"], *more: Any
) -> Float[Array, "batch ..."]:
    """Return what a network that keeps no state makes of each point; `more` as of `value`."""
    output = module.apply({"params": params}, x, *more)
    assert isinstance(output, jax.Array)  # noqa: S101  (a mutable collection would give a tuple)
    return output


def value_and_gradient(
    module: nn.Module, params: Params, x: Float[Array, "batch n"]
) -> tuple[Float[Array, " batch"], Float[Array, "batch n"]]:
    """Value f(x) and grad f(x) for each point, in one forward and one backward pass."""

    def total(points: Array) -> tuple[Array, Array]:
        values = value(module, params, points)
        return jnp.sum(values), values

    gradients, values = jax.grad(total, has_aux=True)(x)
    return values, gradients


def projected(module: nn.Module, params: Any) -> Any:
    """Return the parameters as `project` of the potential has them; as they are without one."""
    project = getattr(module, "project", None)
    return params if project is None else project(params)


def gradient(
    module: nn.Module, params: Params, x: Float[Array, "batch n"]
) -> Float[Array, "batch n"]:
    """Grad f(x) for each point: the transport map when f is optimal (Brenier)."""
    return value_and_gradient(module, params, x)[1]


@dataclass(frozen=True, eq=False)  # compared as functions are
class Oracle:
    """f and grad f of each seed at points of shape (seeds, any number, n), and what they are of.

    A conjugate solver calls it; where the hardware has a better way, that way reads the fields.
    """

    potential: nn.Module
    params: Params  # with a leading axis of seeds

    def __call__(
        self, x: Float[Array, "seeds lanes n"]
    ) -> tuple[Float[Array, "seeds lanes"], Float[Array, "seeds lanes n"]]:
        """Value and gradient of each seed's potential at its points."""
        return jax.vmap(partial(value_and_gradient, self.potential))(self.params, x)
