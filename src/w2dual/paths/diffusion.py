"""A diffusion dX = -grad Phi(X, t) dt + g(X, t) dW from time 0 to 1, and what its paths cost.

Phi has the form of OT-Flow (Onken et al. 2021): with s = (x, t),

    Phi(s) = w^T N(s) + 1/2 |A s|^2 + b^T s,   N(s) = u + a(K_1 u + b_1),   u = a(K_0 s + b_0)

and a(z) = log(2 cosh z), whose derivative is tanh: its derivatives are written out. g is diagonal,
a network's output between -1 and 1 or one constant. Steps are those of Euler and Maruyama, and the
integrals along a path are sums at the left ends of the steps:

    action:    int 1/2 |grad Phi|^2 - U dt
    residual:  int |d_t Phi + 1/2 sum_i g_i^2 d_ii Phi - 1/2 |grad Phi|^2 - U| dt

The second is 0 where Phi solves the equation of Hamilton, Jacobi and Bellman, as the value of the
least expected action does. Source: Koshizuka and Sato, "Neural Lagrangian Schroedinger bridge"
(ICLR 2023), with the form and the sizes of its published code.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, Key

from w2dual.potentials.torch_layers import Linear

Points = Float[Array, "batch n"]
Values = Float[Array, " batch"]
Noise = Float[Array, "steps batch n"]
LIPSCHITZ = 0.909
"""Factor that makes SiLU's slope at most 1."""


class Derivatives(NamedTuple):
    """Of Phi at some points and one time.

    Attributes:
        gradient: in x.
        in_time: d_t Phi.
        curvature: diagonal of the Hessian in x.
    """

    gradient: Points
    in_time: Values
    curvature: Points


@dataclass(frozen=True)
class Phi:
    """The potential whose negative gradient is the drift.

    # DIFFERS: the published one adds a constant, which no loss depends on.

    Attributes:
        width: of its two layers.
        dimension: n.
    """

    width: int
    dimension: int

    def init(self, key: Key[Array, ""], x: Points) -> Any:
        """Return parameters: PyTorch's default in N, Glorot's in A, w of ones and b of zeros."""
        del x
        keys, inputs = jax.random.split(key, 3), self.dimension + 1
        return {
            "opening": Linear(self.width).init(keys[0], jnp.zeros((1, inputs)))["params"],
            "residual": Linear(self.width).init(keys[1], jnp.zeros((1, self.width)))["params"],
            "w": jnp.ones(self.width),
            "square": nn.initializers.xavier_uniform()(keys[2], (inputs, inputs)),
            "slope": jnp.zeros(inputs),
        }

    def value(self, params: Any, x: Points, t: Any) -> Values:
        """Return Phi(x, t)."""
        s = _joined(x, t)
        u = _log_2_cosh(_affine(params["opening"], s))
        n = u + _log_2_cosh(_affine(params["residual"], u))
        square = 0.5 * jnp.sum((s @ params["square"].T) ** 2, axis=-1)
        return n @ params["w"] + square + s @ params["slope"]

    def derivatives(self, params: Any, x: Points, t: Any) -> Derivatives:
        """Return the derivatives of Phi that the drift and the residual need."""
        s, n = _joined(x, t), self.dimension
        k_0, k_1, w = params["opening"]["weight"], params["residual"]["weight"], params["w"]
        opening = _affine(params["opening"], s)
        first = jnp.tanh(opening)
        second = jnp.tanh(_affine(params["residual"], _log_2_cosh(opening)))
        z = w[None] + (second * w[None]) @ k_1
        gram = params["square"].T @ params["square"]
        gradient = (first * z) @ k_0 + s @ gram + params["slope"][None]
        bent = (1 - second**2) * w[None]
        through = [jnp.sum(bent * ((first * k_0[None, :, i]) @ k_1.T) ** 2, -1) for i in range(n)]
        curvature = ((1 - first**2) * z) @ k_0[:, :n] ** 2 + jnp.stack(through, axis=-1)
        return Derivatives(gradient[:, :n], gradient[:, n], curvature + jnp.diag(gram)[None, :n])


class Diffusion(nn.Module):
    """g(x, t), of (batch, n + 1) inputs: between -1 and 1."""

    hidden: Sequence[int]
    dimension: int

    @nn.compact
    def __call__(self, s: Float[Array, "batch inputs"]) -> Points:
        """Apply the network."""
        for width in self.hidden:
            s = LIPSCHITZ * nn.silu(Linear(width)(s))
        return jnp.tanh(Linear(self.dimension)(s))


class Simulated(NamedTuple):
    """Paths of a diffusion, and the integrals along each.

    Attributes:
        last: where they end.
        action, residual: of each.
        path: all points, the first and the last included; None where they were not kept.
    """

    last: Points
    action: Values
    residual: Values
    path: Float[Array, "points batch n"] | None


def simulate(
    derivatives: Callable[[Points, Array], Derivatives],
    spread: Callable[[Points, Array], Points],
    potential: Callable[[Points], Values],
    x: Points,
    noise: Noise,
    keep: bool = False,
) -> Simulated:
    """Return paths from some points, one from each, in as many steps as there is noise for.

    Args:
        derivatives: of Phi, at points and a time.
        spread: g, at points and a time.
        potential: U, at points (batch, n).
        x: where paths begin.
        noise: standard normal numbers.
        keep: whether all points of the paths are kept.
    """
    steps = len(noise)
    dt = 1.0 / steps

    def step(carry: tuple[Array, Array, Array], given: tuple[Array, Array]) -> tuple[Any, Any]:
        (at, action, residual), (number, normal) = carry, given
        t = number * dt
        found, g = derivatives(at, t), spread(at, t)
        u, half_square = potential(at), 0.5 * jnp.sum(found.gradient**2, axis=-1)
        diffused = 0.5 * jnp.sum(g**2 * found.curvature, axis=-1)
        off = jnp.abs(found.in_time + diffused - half_square - u)
        moved = at - dt * found.gradient + dt**0.5 * g * normal
        carry = moved, action + dt * (half_square - u), residual + dt * off
        return carry, moved if keep else None

    zeros = jnp.zeros(len(x), x.dtype)
    numbers = jnp.arange(steps, dtype=x.dtype)
    (last, action, residual), kept = jax.lax.scan(step, (x, zeros, zeros), (numbers, noise))
    return Simulated(last, action, residual, jnp.concatenate([x[None], kept]) if keep else None)


def _joined(x: Points, t: Any) -> Float[Array, "batch inputs"]:
    return jnp.concatenate([x, jnp.full((len(x), 1), t, x.dtype)], axis=-1)


def _affine(layer: Any, z: Array) -> Array:
    return z @ layer["weight"].T + layer["bias"][None]


def _log_2_cosh(z: Array) -> Array:
    return jnp.abs(z) + jnp.log1p(jnp.exp(-2 * jnp.abs(z)))
