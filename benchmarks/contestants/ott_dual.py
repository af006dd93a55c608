"""OTT-JAX's W2NeuralDual, called as its documentation shows, with the paper's settings.

What cannot be the same: its ICNN has quadratic layers and no ActNorm, and neither potential has an
activation on its output unit or a learned factor of the quadratic term. So its networks, of our
widths, cannot be given our parameters; it is warmed up by steps of its own, from its own start, as
many as a time limit allows. Its steps grow slower in the course of training. Its solver is jaxopt's
L-BFGS with backtracking, stopped by the gradient's L2 norm.
"""

from __future__ import annotations

import time
import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.case import SEED, Case, adamw
from benchmarks.sampling import HostSampler
from w2dual.records import InputError

NEVER = 1_000_000_000
"""Steps between validations."""
WARMUP_ROUND = 10
"""Warm-up steps between two looks at the clock."""


class OttDual:
    """The library's solver object; its own training loop runs the steps of a block."""

    def __init__(self, case: Case) -> None:
        """Build the library's solver, not warmed up yet."""
        try:
            from ott.neural.methods import neuraldual  # pyright: ignore[reportMissingImports]
            from ott.neural.networks.layers.conjugate import (  # pyright: ignore[reportMissingImports]
                FenchelConjugateLBFGS,
            )
        except ImportError as error:
            raise InputError(
                f"contestant `ott`: OTT-JAX cannot be imported ({error}); `make bench` runs in an "
                "environment that has it, or leave the contestant out by --contestants"
            ) from error
        settings = case.cell.settings
        solver = settings["solver"]
        optimizer = adamw(case.cell.training)
        potential, model = _networks(settings, case.dimension)
        self.conjugate_solver = FenchelConjugateLBFGS(
            gtol=solver["gradient_tolerance"], max_iter=solver["max_iterations"]
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.solver = neuraldual.W2NeuralDual(
                case.dimension,
                potential,
                model,
                optimizer,  # pyright: ignore[reportArgumentType]
                optimizer,  # pyright: ignore[reportArgumentType]
                num_train_iters=1,
                back_and_forth=False,
                valid_freq=NEVER,
                rng=jax.random.key(SEED),
                conjugate_solver=self.conjugate_solver,
                amortization_loss="regression",
            )
        self.sampler = HostSampler(case.pair, case.batch_size, SEED)
        self.warmup_steps = 0
        self.warm = (self.solver.state_f, self.solver.state_g)

    def warm_up(self, steps: int, limit_s: float) -> None:
        """Take up to `steps` steps, in rounds, until the limit; blocks start where they end."""
        started = time.perf_counter()
        while self.warmup_steps < steps and time.perf_counter() - started < limit_s:
            self.block(min(WARMUP_ROUND, steps - self.warmup_steps))
            self.warmup_steps += min(WARMUP_ROUND, steps - self.warmup_steps)
            self.warm = (self.solver.state_f, self.solver.state_g)

    def block(self, steps: int) -> float:
        """Take steps from the warm state; return the seconds they took."""
        self.solver.state_f, self.solver.state_g = self.warm
        self.solver.num_train_iters = steps
        sources, targets = self.sampler.sources(), self.sampler.targets()
        started = time.perf_counter()
        self.solver(sources, targets, sources, targets)
        jax.block_until_ready((self.solver.state_f.params, self.solver.state_g.params))
        return time.perf_counter() - started

    def facts(self) -> dict[str, Any]:
        """Return the state of the conjugation at its own warm state."""
        state_f, state_g = self.warm
        y = self.sampler.target()
        f = state_f.potential_value_fn(state_f.params)  # pyright: ignore[reportCallIssue]
        start = state_g.potential_gradient_fn(state_g.params)(y)

        @jax.jit
        @jax.vmap
        def solve(y: jax.Array, start: jax.Array) -> tuple[jax.Array, jax.Array]:
            result = self.conjugate_solver.solve(f, y, x_init=start)
            norm = jnp.max(jnp.abs(jax.grad(f)(result.grad) - y))
            return norm, jnp.asarray(result.num_iter)

        norms, iterations = (np.asarray(item) for item in solve(y, start))
        return {
            "warmup_steps": self.warmup_steps,
            "iterations_mean": float(iterations.mean()),
            "iterations_max": int(iterations.max()),
            "gradient_norm_median": float(np.median(norms)),
            "gradient_norm_max": float(norms.max()),
        }


def _networks(settings: dict[str, Any], dimension: int) -> tuple[Any, Any]:
    """Return the library's potential and its amortization model, of the cell's widths."""
    from ott.neural.networks import icnn, potentials  # pyright: ignore[reportMissingImports]

    hidden = settings["potential"]["hidden"]
    if settings["potential"]["kind"] == "icnn":
        potential = icnn.ICNN(dimension, hidden, act_fn=jax.nn.elu, pos_weights=True)
    else:
        potential = potentials.PotentialMLP(hidden, act_fn=jax.nn.elu)
    model = potentials.PotentialMLP(
        settings["amortization_model"]["hidden"], is_potential=False, act_fn=jax.nn.elu
    )
    return potential, model
