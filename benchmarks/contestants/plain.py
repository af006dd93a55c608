"""The plain loop: a training step as the published code takes it, driven from Python.

Each step draws its batches on the host, calls three compiled functions (x_tilde, conjugation,
update) and reads the loss and its parts back. Networks, solver and optimiser are the paper's.
"""

from __future__ import annotations

import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.training.train_state import TrainState
from jaxtyping import Array

from benchmarks.case import SEED, Case, adamw
from benchmarks.contestants.plain_lbfgs import minimise
from benchmarks.contestants.plain_networks import POTENTIALS, PlainModel
from benchmarks.sampling import HostSampler


def conjugation(case: Case) -> Any:
    """Return the compiled (parameters of f, y, start) -> (x_hat, iterations)."""
    settings = case.cell.settings
    potential = POTENTIALS[settings["potential"]["kind"]](settings["potential"]["hidden"])

    def one(params: Any, y: Array, start: Array) -> tuple[Array, Array]:
        def objective(x: Array) -> Array:
            return potential.apply({"params": params}, x) - x @ y

        return minimise(objective, start, settings["solver"])

    return jax.jit(jax.vmap(one, (None, 0, 0)))


class PlainLoop:
    """Training, one step at a time."""

    def __init__(self, case: Case) -> None:
        """Take the case's parameters; the optimiser's moments start at 0."""
        settings = case.cell.settings
        optimizer = adamw(case.cell.training)
        potential = POTENTIALS[settings["potential"]["kind"]](settings["potential"]["hidden"])
        model = PlainModel(settings["amortization_model"]["hidden"])
        self.states = tuple(
            TrainState.create(apply_fn=network.apply, params=params, tx=optimizer)
            for network, params in zip((potential, model), case.params, strict=True)
        )
        self.sampler = HostSampler(case.pair, case.batch_size, SEED)
        self.predict = jax.jit(lambda params, y: model.apply({"params": params}, y))
        self.conjugate = conjugation(case)
        self.update = jax.jit(_update)
        self.iterations: list[float] = []

    def block(self, steps: int) -> float:
        """Take steps from the warm state; return the seconds they took."""
        potential, model = self.states
        self.iterations = []
        started = time.perf_counter()
        for _ in range(steps):
            x, y = self.sampler.source(), self.sampler.target()
            x_tilde = self.predict(model.params, y)
            x_hat, iterations = self.conjugate(potential.params, y, x_tilde)
            potential, model, metrics = self.update(potential, model, x, y, x_hat, iterations)
            numbers = {name: float(metric) for name, metric in metrics.items()}
            self.iterations.append(numbers["iterations"])
        jax.block_until_ready((potential.params, model.params))
        return time.perf_counter() - started

    def facts(self) -> dict[str, Any]:
        """Return the iterations of the last block, and what of a step is sampling."""
        began = time.perf_counter()
        rounds = 20
        for _ in range(rounds):
            self.sampler.source()
            jax.block_until_ready(self.sampler.target())
        return {
            "iterations_mean": float(np.mean(self.iterations)),
            "sampling_ms": 1e3 * (time.perf_counter() - began) / rounds,
        }


def _update(
    potential: TrainState, model: TrainState, x: Array, y: Array, x_hat: Array, iterations: Array
) -> tuple[TrainState, TrainState, dict[str, Array]]:
    """Take one gradient step on -V plus the regression loss, x_hat held fixed."""

    def loss(potential_params: Any, model_params: Any) -> tuple[Array, dict[str, Array]]:
        def f(points: Array) -> Array:
            return potential.apply_fn({"params": potential_params}, points)

        conjugates = jnp.sum(x_hat * y, axis=-1) - f(x_hat)
        dual = -jnp.mean(f(x)) - jnp.mean(conjugates)
        x_tilde = model.apply_fn({"params": model_params}, y)
        amortization = jnp.mean((x_tilde - x_hat) ** 2)
        return amortization - dual, {"dual": dual, "amortization": amortization}

    (total, parts), gradients = jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)(
        potential.params, model.params
    )
    metrics = parts | {"loss": total, "iterations": jnp.mean(iterations)}
    new_potential, new_model = (
        state.apply_gradients(grads=gradient)
        for state, gradient in zip((potential, model), gradients, strict=True)
    )
    return new_potential, new_model, metrics
