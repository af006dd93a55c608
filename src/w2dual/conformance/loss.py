"""The suite for an amortization loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from w2dual import amortization, extensions
from w2dual.amortization import AmortizationBatch, Loss
from w2dual.conformance.base import (
    Check,
    Failed,
    Suite,
    Verdict,
    all_finite,
    judge,
    require,
    same,
)

N, POINTS = 3, 16
ROUNDING = 1e-4
SHIFTS = (0.3, 1.0)
"""How far from the argmin the model's predictions are, where the loss has to be larger."""


def verdicts(kind: str, settings: Mapping[str, Any]) -> list[Verdict]:
    """Check a kind of amortization loss, on a convex f whose conjugate's argmins are known.

    Args:
        kind: the module in `w2dual.amortization`.
        settings: of `make`.
    """
    suite = _Suite(kind, settings)
    return judge(
        [
            Check("shapes and types", suite.shapes, needed=True),
            Check("keeps no state", suite.no_state),
            Check("finite", suite.finite),
            Check("gradient reaches the model", suite.reaches_model),
            Check("f is held fixed", suite.holds_f),
            Check("order of points", suite.order),
            Check("seeds", suite.seeds),
            Check("least at the argmin", suite.least),
        ]
    )


class _Suite(Suite[Loss]):
    """A loss, a potential, a model and points: x_hat is drawn, and y is grad f(x_hat)."""

    def __init__(self, kind: str, settings: Mapping[str, Any]) -> None:
        super().__init__(kind, settings)
        generator = np.random.default_rng(0)

        def draw(*shape: int) -> np.ndarray:
            return generator.normal(size=shape).astype(np.float32)

        self.f = {"scale": np.float32(0.8), "ridges": 0.5 * draw(2 * N, N)}
        self.model = {"matrix": 0.3 * draw(N, N), "offset": 0.3 * draw(N)}
        self.x, self.x_hat = draw(POINTS, N), draw(POINTS, N)
        self.y = np.asarray(_slope(self.f, self.x_hat))
        self.shift = draw(POINTS, N)

    def make(self) -> Loss:
        loss = amortization.make_loss(self.settings)
        assert loss is not None  # noqa: S101  (None is of the kind `none`, which is no module)
        return loss

    @cached_property
    def evaluated(self) -> Any:
        """Return the compiled loss with its gradients in the model's and in f's parameters."""
        both = jax.value_and_grad(partial(_of_batch, self.made, True), argnums=(0, 1))
        return jax.jit(both)

    @cached_property
    def found(self) -> Any:
        return self.evaluated(*self.batch)

    def shapes(self) -> str:
        for fine_tuned in (True, False):
            found = extensions.shapes(
                partial(_of_batch, self.made, fine_tuned),
                *self.batch,
                message=f"does not work on an `AmortizationBatch` with fine_tuned={fine_tuned}",
            )
            require(
                extensions.is_array(found, ()),
                f"gives {extensions.described(found)}; expected one number for the batch, of shape "
                "(), as of `jnp.mean(...)`",
            )
        return "one number for a batch"

    def traced(self, made: Loss) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return partial(_of_batch, made, True), self.batch

    @property
    def batch(self) -> tuple[Any, ...]:
        return self.model, self.f, self.x, self.y, self.x_hat

    def finite(self) -> str:
        value, gradients = self.found
        require(np.isfinite(value), f"the loss is {value} on finite points")
        require(all_finite(gradients), "the loss's gradient is not finite on finite points")
        return f"the loss is {float(value):.4g} on a batch, with a finite gradient"

    def reaches_model(self) -> str:
        of_model, _ = self.found[1]
        still = [name for name, slope in of_model.items() if not np.any(np.asarray(slope))]
        require(
            not still,
            "its gradient in the model's parameters is 0, so that the model learns nothing; the "
            "loss has to depend on `x_tilde` or `model`, not under `stop_gradient`",
        )
        return "its gradient moves every parameter of the model"

    def holds_f(self) -> str:
        _, of_f = self.found[1]
        moved = any(np.any(np.asarray(slope)) for slope in of_f.values())
        require(
            not moved,
            "moves f where a conjugate solver fine-tunes (fine_tuned=True); take `potential_fixed` "
            "and `gradient_fixed`",
        )
        return "f is not moved where a conjugate solver fine-tunes"

    def order(self) -> str:
        turned = (points[::-1] for points in (self.x, self.y, self.x_hat))
        value, _ = self.evaluated(self.model, self.f, *turned)
        require(
            np.isclose(value, self.found[0], rtol=ROUNDING),
            f"the loss of the same points in another order is {value:.6g}, not {self.found[0]:.6g}",
        )
        return "the order of the points does not matter"

    def seeds(self) -> str:
        def twice(tree: Any) -> Any:
            return jax.tree.map(lambda leaf: np.stack([leaf, 0.5 * leaf]), tree)

        arguments = self.batch
        together = jax.jit(jax.vmap(partial(_of_batch, self.made, True)))(*map(twice, arguments))
        require(
            np.isclose(together[0], self.found[0], rtol=ROUNDING),
            "a seed's loss under `jax.vmap` with another one differs from that alone",
        )
        again = self.evaluated(*arguments)
        require(same(again, self.found), "the same call gives other numbers when it is repeated")
        return "seeds together give what each gives alone"

    def least(self) -> str:
        @jax.jit
        def at(shift: Any) -> Any:
            offset = self.x_hat - self.y + shift
            return self.made(
                _batch(self.f, lambda points: points + offset, self.x, self.y, self.x_hat, True)
            )

        best, *others = (float(at(factor * self.shift)) for factor in (0.0, *SHIFTS))
        if min(others) <= best:
            raise Failed(
                f"the loss is {best:.4g} where the model predicts the conjugate's argmins, and "
                f"{min(others):.4g} away from them; expected the least where they are right"
            )
        return "the loss is least where the model predicts the conjugate's argmins"


def _of_batch(loss: Loss, fine_tuned: bool, model: Any, f: Any, x: Any, y: Any, x_hat: Any) -> Any:
    """Return the loss of a model x_tilde(y) = y + tanh(M y + m) on a batch."""

    def x_tilde(points: Any) -> Any:
        return points + jnp.tanh(points @ model["matrix"] + model["offset"][None])

    return loss(_batch(f, x_tilde, x, y, x_hat, fine_tuned))


def _batch(f: Any, model: Any, x: Any, y: Any, x_hat: Any, fine_tuned: bool) -> AmortizationBatch:
    fixed = jax.lax.stop_gradient(f)
    x_tilde = model(y)
    return AmortizationBatch(
        potential_fixed=partial(_value, fixed),
        gradient=partial(_slope, f),
        gradient_fixed=partial(_slope, fixed),
        model=model,
        x=x,
        y=y,
        x_tilde=x_tilde,
        x_hat=jax.lax.stop_gradient(x_hat if fine_tuned else x_tilde),
        fine_tuned=fine_tuned,
    )


def _value(f: Any, x: Any) -> Any:
    """F(x) = scale/2 ||x||^2 + sum softplus(R x), strictly convex."""
    ridges = jnp.sum(jax.nn.softplus(x @ f["ridges"].T), axis=-1)
    return 0.5 * f["scale"] * jnp.sum(x * x, axis=-1) + ridges


def _slope(f: Any, x: Any) -> Any:
    return f["scale"] * x + jax.nn.sigmoid(x @ f["ridges"].T) @ f["ridges"]
