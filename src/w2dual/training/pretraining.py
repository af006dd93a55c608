"""How training begins: the networks of every seed drawn, and pre-trained to the identity."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key

from w2dual import rng
from w2dual.backend import jit
from w2dual.config.cells import Cell
from w2dual.config.settings import PretrainingSettings
from w2dual.training.loop import streams
from w2dual.training.methods import Method, Network


class Pretraining(NamedTuple):
    """State of pre-training one network to the identity, for all seeds."""

    params: Any
    optimizer: Any
    step: Int[Array, ""]
    running: Array
    loss: Float[Array, " seeds"]


def pretrain_to_identity(
    push: Callable[[Any, Float[Array, "batch n"]], Float[Array, "batch n"]],
    params: Any,
    keys: Key[Array, " seeds"],
    *,
    dimension: int,
    batch_size: int,
    iterations: int,
    learning_rate: float,
    tolerance: float,
    bound: float | None = None,
    spread: float | None = None,
    min_iterations: int = 0,
    weight_decay: float = 0.0,
    project: Callable[[Any], Any] | None = None,
    per_coordinate: bool | None = None,
    noisy: Callable[[Any, Float[Array, "batch n"], Key[Array, " parts"]], Array] | None = None,
    observe: Callable[[Any, Any, Float[Array, "batch n"]], Any] | None = None,
) -> Pretraining:
    """Minimise the distance of push(x) to x, for all seeds.

    Over x uniform on [-bound, bound]^n it is mean ||push(x) - x||^2, as the paper's code has it. A
    seed stops at a loss below `tolerance`, but not in the first `min_iterations` steps. Over x of
    N(0, spread^2 I) it is that over n, as the benchmark's code has it (`tools.py`,
    `pretrain_identity`), which has it so on the cube too. The whole loop runs on the device.

    Args:
        push: (params of one seed, (batch, n)) -> (batch, n).
        params: parameters with a leading axis of seeds.
        keys: one key for each seed; the batch of a step is drawn from the key at that step.
        dimension: n.
        batch_size: points per step.
        iterations: steps at most.
        learning_rate: of Adam.
        tolerance: loss to stop at.
        bound: half the side of the cube; None for the normal law.
        spread: standard deviation of the normal law; None for the cube.
        min_iterations: steps at least.
        weight_decay: of an L2 penalty, which is a part of the gradient.
        project: what is done to the parameters of one seed after each step.
        per_coordinate: whether the loss is over n; None where the law says so.
        noisy: what stands for `push` with keys of what is dropped out; None where nothing is.
        observe: as of `methods.Network`.
    """
    mean = spread is not None if per_coordinate is None else per_coordinate
    adam = optax.adam(learning_rate)
    if weight_decay:
        adam = optax.chain(optax.add_decayed_weights(weight_decay), adam)
    optimizer = optax.flatten(adam)
    draw = _points(bound, spread)

    def loss(params: Any, x: Array, key: Array) -> Array:
        pushed = push(params, x) if noisy is None else noisy(params, x, rng.at(key, 1)[None])
        error = jnp.mean(jnp.sum((pushed - x) ** 2, axis=-1))
        return error / dimension if mean else error

    def one_seed(params: Any, opt_state: Any, key: Array, step: Array) -> tuple[Array, Any, Any]:
        of_step = rng.at(key, step)
        x = draw(of_step, (batch_size, dimension))
        value, gradient = jax.value_and_grad(loss)(params, x, of_step)
        updates, opt_state = optimizer.update(gradient, opt_state, params)
        moved = optax.apply_updates(params, updates)
        moved = moved if project is None else project(moved)
        return value, moved if observe is None else observe(params, moved, x), opt_state

    def step(carry: Pretraining) -> Pretraining:
        value, new, opt_state = jax.vmap(one_seed, (0, 0, 0, None))(
            carry.params, carry.optimizer, keys, carry.step
        )

        def keep(new: Array, old: Array) -> Array:
            return jnp.where(carry.running.reshape((-1,) + (1,) * (new.ndim - 1)), new, old)

        done = (value < tolerance) & (carry.step >= min_iterations)
        return Pretraining(
            params=jax.tree.map(keep, new, carry.params),
            optimizer=jax.tree.map(keep, opt_state, carry.optimizer),
            step=carry.step + 1,
            running=carry.running & ~done,
            loss=jnp.where(carry.running, value, carry.loss),
        )

    def run(params: Any) -> Pretraining:
        seeds = keys.shape[0]
        start = Pretraining(
            params=params,
            optimizer=jax.vmap(optimizer.init)(params),
            step=jnp.zeros((), jnp.int32),
            running=jnp.ones(seeds, bool),
            loss=jnp.full(seeds, jnp.inf),
        )
        return jax.lax.while_loop(
            lambda carry: jnp.any(carry.running) & (carry.step < iterations), step, start
        )

    return jit(run)(params)


def _points(
    bound: float | None, spread: float | None
) -> Callable[[Key[Array, ""], tuple[int, int]], Float[Array, "batch n"]]:
    """Return what draws points, from a key and a shape: of the cube, or of the normal law."""
    if bound is not None:
        return lambda key, shape: jax.random.uniform(key, shape, minval=-bound, maxval=bound)
    if spread is not None:
        return lambda key, shape: spread * jax.random.normal(key, shape)
    raise ValueError("points have no law: expected `bound` or `spread`")


_jit_once = partial(jit, once=True)


def fresh_params(method: Method[Any], cell: Cell, jit: Callable[..., Any] = _jit_once) -> Any:
    """Initialise the networks of every seed, on a batch of pre-training's points.

    Args:
        method: what is trained.
        cell: its cell.
        jit: what compiles; a function that does nothing where only shapes are asked for.
    """
    first = _first_batch(cell)
    trees: dict[str, Any] = {}
    for name, network in method.networks.items():
        if network.start_from is not None:
            trees[name] = _copied(network, trees)
        else:
            keys = streams(cell.seeds, network.stream)
            trees[name] = jit(jax.vmap(network.init))(keys, first)
    return method.assemble(trees)


def _copied(network: Network, trees: Mapping[str, Any]) -> Any:
    """Return the parameters of a network that starts from another's."""
    assert network.start_from is not None  # noqa: S101  (the caller's check)
    name, start = network.start_from
    return start(trees[name])


def _first_batch(cell: Cell) -> Float[Array, "seeds batch n"]:
    given = asdict(cell.pretraining)
    draw = _points(given.get("bound"), given.get("spread"))
    shape = (cell.training.batch_size, cell.dimension)
    return jax.vmap(lambda key: draw(key, shape))(streams(cell.seeds, "initial batch"))


def initial_params(
    method: Method[Any], cell: Cell, at_once: int | None = None
) -> tuple[Any, dict[str, float]]:
    """Initialise the networks of every seed, and pre-train to the identity those that are maps.

    Networks know nothing of each other: each has a thread, and their programs are compiled at the
    same time. One that starts from another's parameters takes them once that one is pre-trained.

    Args:
        method: what is trained.
        cell: its cell.
        at_once: networks that have a thread at the same time; None for all of them.

    Returns:
        The parameters, and what pre-training cost and reached; the steps are those of the first
        network that is pre-trained.
    """
    arguments = asdict(cell.pretraining) | {
        "per_coordinate": not isinstance(cell.pretraining, PretrainingSettings),
        "dimension": cell.dimension,
        "batch_size": cell.training.batch_size,
    }
    started = time.perf_counter()
    first = _first_batch(cell)

    def begin(network: Network) -> tuple[Any, Pretraining | None]:
        params = _jit_once(jax.vmap(network.init))(streams(cell.seeds, network.stream), first)
        if network.map is None:
            return params, None
        keys = streams(cell.seeds, f"pretraining {network.stream}")
        trained = pretrain_to_identity(
            network.map,
            params,
            keys,
            project=network.project,
            noisy=network.noisy_map,
            observe=network.observe,
            **arguments,
        )
        return trained.params, trained

    drawn = {
        name: network for name, network in method.networks.items() if network.start_from is None
    }
    with ThreadPoolExecutor(at_once or max(1, len(drawn))) as pool:
        begun = dict(zip(drawn, pool.map(begin, drawn.values()), strict=True))
    trees: dict[str, Any] = {}
    report: dict[str, float] = {}
    steps = 0
    for name, network in method.networks.items():
        if network.start_from is not None:
            trees[name] = _copied(network, trees)
            continue
        trees[name], trained = begun[name]
        if trained is None:
            continue
        report[f"pretraining_loss_{name}"] = float(jnp.max(trained.loss))
        steps = steps or int(trained.step)
    report["pretraining_steps"] = steps
    params = jax.block_until_ready(method.assemble(trees))
    report["pretraining_s"] = time.perf_counter() - started
    return params, report
