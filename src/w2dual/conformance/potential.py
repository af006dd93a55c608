"""The suite for a potential."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from w2dual import potentials
from w2dual.conformance.base import (
    Check,
    Suite,
    Verdict,
    all_finite,
    judge,
    require,
    same,
)

N, POINTS = 3, 64
HIDDEN = (8, 8)
"""Widths of a potential that is given none."""
STEPS = {"float64": (1e-5, 1e-4), "float32": (1e-2, 5e-2)}
"""Of finite differences, by the type of f(x): the step, and the error relative to 1 + slope."""
AT_KINKS = 0.05
"""Share of slopes that may be off, where a step crosses a kink of f."""
ROUNDING = 1e-5


def verdicts(kind: str, settings: Mapping[str, Any]) -> list[Verdict]:
    """Check a kind of potential, in 3 dimensions and with parameters as they are drawn.

    Args:
        kind: the module in `w2dual.potentials`.
        settings: of `make`; `hidden` is [8, 8] where it is left out, as the config has it in cells.
    """
    suite = _Suite(kind, {"hidden": list(HIDDEN)} | dict(settings))
    return judge(
        [
            Check("shapes and types", suite.shapes, needed=True),
            Check("keeps no state", suite.no_state),
            Check("finite", suite.finite),
            Check("gradient", suite.gradient),
            Check("parameters", suite.parameters),
            Check("points are independent", suite.independent),
            Check("seeds", suite.seeds),
            Check("convexity", suite.convexity),
        ]
    )


class _Suite(Suite[nn.Module]):
    """A potential, its parameters, and points."""

    def __init__(self, kind: str, settings: Mapping[str, Any]) -> None:
        super().__init__(kind, settings)
        generator = np.random.default_rng(0)
        self.x = generator.normal(size=(POINTS, N)).astype(np.float32)
        self.directions = generator.normal(size=(POINTS, N))
        self.keys = jax.random.split(jax.random.key(0), 2)

    def make(self) -> nn.Module:
        return potentials.make(self.settings, N)

    @cached_property
    def params(self) -> Any:
        """Return parameters of both seeds."""
        init = jax.jit(jax.vmap(lambda key: self.made.init(key, self.x)["params"]))
        return jax.tree.map(np.asarray, init(self.keys))

    @cached_property
    def first(self) -> Any:
        return jax.tree.map(lambda leaf: leaf[0], self.params)

    @cached_property
    def map(self) -> Any:
        """Return the compiled f and grad f."""
        return jax.jit(partial(potentials.value_and_gradient, self.made))

    def shapes(self) -> str:
        return f"maps points of shape (batch, {N}) to {type(self.made).__name__}'s f(x), (batch,)"

    def traced(self, made: nn.Module) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return lambda key, x: made.init_with_output(key, x), (self.keys[0], self.x)

    def finite(self) -> str:
        require(all_finite(self.params), "parameters are not finite when they are drawn")
        value, gradient = self.map(self.first, self.x)
        require(np.isfinite(value).all(), "f(x) is not finite at points of a normal law")
        require(np.isfinite(gradient).all(), "grad f(x) is not finite at points of a normal law")
        far = self.map(self.first, 30.0 * self.x)
        require(all_finite(far), "f or grad f is not finite at points of norm 50")
        return "parameters, f and grad f are finite"

    def gradient(self) -> str:
        with jax.enable_x64(True):
            wide = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), self.first)
            x, v = jnp.asarray(self.x, jnp.float64), jnp.asarray(self.directions)
            value = jax.jit(partial(potentials.value, self.made))
            step, tolerance = STEPS[str(value(wide, x).dtype)]
            measured = (value(wide, x + step * v) - value(wide, x - step * v)) / (2 * step)
            gradient = jax.jit(partial(potentials.gradient, self.made))(wide, x)
            told = np.asarray(jnp.sum(gradient * v, axis=-1))
        measured = np.asarray(measured)
        off = np.abs(told - measured) > tolerance * (1 + np.abs(measured))
        worst = int(np.argmax(np.abs(told - measured)))
        require(
            off.mean() <= AT_KINKS,
            f"wrong gradient: along a direction it gives {told[worst]:.6g} where finite "
            f"differences of f give {measured[worst]:.6g}, and is off at {off.sum()} of "
            f"{off.size} points; T = grad f has to be the gradient of f itself",
        )
        return "grad f agrees with finite differences of f"

    def parameters(self) -> str:
        def size(params: Any) -> Any:
            return jnp.sum(potentials.value(self.made, params, jnp.asarray(self.x)) ** 2)

        slopes = jax.tree.leaves(jax.jit(jax.grad(size))(self.first))
        require(all_finite(slopes), "the gradient of f in its parameters is not finite")
        moved = sum(bool(np.any(np.asarray(leaf) != 0)) for leaf in slopes)
        require(moved, "f does not depend on its parameters, so that nothing could be trained")
        seeds = jax.tree.leaves(self.params)
        require(
            any(not np.array_equal(leaf[0], leaf[1]) for leaf in seeds),
            "different keys give the same parameters, so that all seeds would be one",
        )
        return f"f depends on {moved} of its {len(slopes)} parameter arrays"

    def independent(self) -> str:
        value, gradient = self.map(self.first, self.x)
        other = np.where(np.arange(POINTS)[:, None] % 2 == 1, -self.x, self.x)
        changed = self.map(self.first, other)
        require(
            all(
                np.allclose(a[::2], b[::2], rtol=ROUNDING, atol=ROUNDING)
                for a, b in zip((value, gradient), changed, strict=True)
            ),
            "f at a point changes with the other points of the batch",
        )
        return "f at a point depends on no other point of the batch"

    def seeds(self) -> str:
        points = np.stack([self.x, self.x])
        single = partial(potentials.value_and_gradient, self.made)
        together = jax.jit(jax.vmap(single))(self.params, points)
        alone = self.map(self.first, self.x)
        require(
            all(
                np.allclose(a[0], b, rtol=1e-4, atol=1e-4)
                for a, b in zip(together, alone, strict=True)
            ),
            "a seed gives other values under `jax.vmap` with another one than alone",
        )
        again = self.map(self.first, self.x)
        require(same(alone, again), "the same call gives other numbers when it is repeated")
        return "seeds together give what each gives alone"

    def convexity(self) -> str:
        a, b = self.x, self.x[::-1]
        f = [np.asarray(self.map(self.first, x)[0], np.float64) for x in (a, b, (a + b) / 2)]
        above = f[2] > (f[0] + f[1]) / 2 + ROUNDING * (1 + np.abs(f[0]) + np.abs(f[1]))
        if above.any():
            return f"not convex: f is above its chord at {above.sum()} of {POINTS} tries (allowed)"
        return f"convex as far as {POINTS} tries show"
