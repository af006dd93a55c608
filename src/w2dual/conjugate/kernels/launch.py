"""One launch for a batch of conjugations: a program for each seed and block of its points.

A program runs the solver on its block until the last of its points has finished, with the weights,
the points and all vectors where they are fast to reach; nothing of a turn of the solver's loop
leaves the kernel. A body says what a solver does (`lbfgs`, `adam`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from w2dual.conjugate.base import ConjugateResult, Points, Status
from w2dual.conjugate.kernels.layout import Layout, Vector, each
from w2dual.conjugate.kernels.network import Network
from w2dual.conjugate.kernels.pallas import pl, triton


class Standing(NamedTuple):
    """What every solver knows of each point of a block."""

    x: Vector
    value: Any
    gradient: Vector
    gradient_norm: Any
    status: Any
    iterations: Any
    evaluations: Any


class Evaluation(NamedTuple):
    """J_f and its gradient at one vector of each point; `finite`: both are."""

    value: Any
    gradient: Vector
    gradient_norm: Any
    finite: Any


Objective = Callable[[Vector], Evaluation]
Memory = tuple[Any, ...]
"""Blocks of global memory that a body keeps for itself."""


class Body(NamedTuple):
    """A solver, as a kernel runs it.

    Attributes:
        init: (objective's layout) -> what it carries beside `Standing`.
        step: (objective, standing, carried, turn, tables, memory) -> (standing, carried). What it
            does to points that are not RUNNING has to be nothing.
        tables: array that depends on no point, (rows, columns), or None.
        memory: shapes of what it keeps in global memory for a block of points.
    """

    init: Callable[[], Any]
    step: Callable[..., tuple[Standing, Any]]
    tables: Any
    memory: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Plan:
    """How a kernel is laid out; see `choice.plan`."""

    layout: Layout
    warps: int
    interpret: bool = False


def start(layout: Layout, x: Vector) -> Standing:
    """Stand at the start, not evaluated yet."""
    number = jnp.zeros((layout.points,), layout.dtype)
    count = jnp.zeros((layout.points,), jnp.int32)
    return Standing(x, number, layout.zeros(), number, count, count, count)


def launch(
    name: str, plan: Plan, weights: Array, network: Network, body: Body, y: Points, x_init: Points
) -> ConjugateResult:
    """Solve all conjugations in one kernel."""
    layout = plan.layout
    seeds, points, n = y.shape
    padded = -(-points // layout.points) * layout.points
    blocks = padded // layout.points
    inputs = [weights, _fill(y, padded, layout.size), _fill(x_init, padded, layout.size)]
    vector = pl.BlockSpec((None, layout.points, layout.size), lambda s, b: (s, b, 0))
    in_specs = [pl.BlockSpec((None, *weights.shape[1:]), lambda s, b: (s, 0, 0)), vector, vector]
    if body.tables is not None:
        inputs.append(body.tables)
        in_specs.append(pl.BlockSpec(body.tables.shape, lambda s, b: (0, 0)))
    number = pl.BlockSpec((None, layout.points), lambda s, b: (s, b))

    def kept(shape: tuple[int, ...]) -> pl.BlockSpec:
        return pl.BlockSpec((None, None, *shape), lambda s, b: (s, b, *(0 for _ in shape)))

    def shaped(shape: tuple[int, ...], dtype: Any = layout.dtype) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((seeds, *shape), dtype)

    types = [layout.dtype] * 2 + [jnp.int32] * 3
    out = pl.pallas_call(
        _kernel(layout, network, body),
        grid=(seeds, blocks),
        in_specs=in_specs,
        out_specs=[vector, *(number for _ in types), *map(kept, body.memory)],
        out_shape=[
            shaped((padded, layout.size)),
            *(shaped((padded,), dtype) for dtype in types),
            *(shaped((blocks, *shape)) for shape in body.memory),
        ],
        compiler_params=triton.CompilerParams(num_warps=plan.warps, num_stages=1),
        interpret=plan.interpret,
        name=name,
    )(*inputs)
    x, *numbers = out[: 1 + len(types)]
    return ConjugateResult(x[:, :points, :n], *(item[:, :points] for item in numbers))


def _fill(vectors: Points, points: int, size: int) -> Float[Array, "seeds points size"]:
    """Repeat the last point up to `points`, and fill vectors up with zeros to `size`."""
    _, have, n = vectors.shape
    if points > have:
        vectors = jnp.pad(vectors, ((0, 0), (0, points - have), (0, 0)), mode="edge")
    return jnp.pad(vectors, ((0, 0), (0, 0), (0, size - n))) if size > n else vectors


def _kernel(layout: Layout, network: Network, body: Body) -> Callable[..., None]:
    tables = 1 if body.tables is not None else 0

    def kernel(*refs: Any) -> None:
        weights, y_ref, x_ref, *rest = refs
        table, outs = rest[:tables], rest[tables:]
        memory = tuple(outs[6:])
        y = layout.read(y_ref)

        def objective(x: Vector) -> Evaluation:
            value, gradient = network.value_and_gradient(weights, x)
            value = value - layout.inner(x, y)
            gradient = each(lambda p, q: p - q, gradient, y)
            norm = layout.max_norm(gradient)
            finite = (jnp.abs(value) <= layout.largest) & (norm <= layout.largest)
            return Evaluation(value, gradient, norm, finite)

        def turn(carry: tuple[Any, ...]) -> tuple[Any, ...]:
            standing, carried, count, _ = carry
            standing, carried = body.step(objective, standing, carried, count, *table, *memory)
            running = jnp.max(jnp.where(standing.status == Status.RUNNING, 1, 0)).astype(jnp.int32)
            return standing, carried, count + 1, running

        # What the condition alone reads comes last: Triton takes operand i of a loop's end for
        # its result i, also where one that nobody else reads was dropped before it.
        carry = (start(layout, layout.read(x_ref)), body.init(), jnp.int32(0), jnp.int32(1))
        standing, *_ = lax.while_loop(lambda carry: carry[-1] > 0, turn, carry)
        layout.write(outs[0], standing.x)
        numbers = (standing.value, standing.gradient_norm)
        counts = (standing.status, standing.iterations, standing.evaluations)
        for ref, item in zip(outs[1:6], (*numbers, *counts), strict=True):
            ref[...] = item

    return kernel
