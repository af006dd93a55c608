"""Which conjugations run as one kernel, and how it is laid out; the others run the plain way."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from w2dual import closure
from w2dual.conjugate.base import ConjugateResult, Points
from w2dual.conjugate.kernels.blocks import PRECISION, padded
from w2dual.conjugate.kernels.launch import Body, Plan, launch
from w2dual.conjugate.kernels.layout import Layout
from w2dual.conjugate.kernels.network import elu_slope, leaky_relu_slope, pack
from w2dual.potentials.activations import elu
from w2dual.potentials.layered import Layered

COORDINATES = 4
"""Up to this n each coordinate is an array of its own: padding to a product's side costs more."""
LARGEST_WIDTH = 128
"""Width of a hidden layer up to which a matrix of weights fits a block's shared memory."""
TILE = 32
"""Least size of a tile's vectors: wider than the block has points, so that warps share them."""
POINTS = 16
"""Points of a block, the fewest that a product takes: few wait for the slowest of their block."""
NARROW = 64
"""Width of a hidden layer up to which four warps have the registers for it; else eight."""


def plan(
    n: int, widths: tuple[int, ...], dtype: Any = np.float32, interpret: bool = False
) -> Plan | None:
    """Return how a kernel for potentials of these widths in R^n is laid out; None: none fits."""
    if not widths or max(n, *widths) > LARGEST_WIDTH:
        return None
    tile = n > COORDINATES
    layout = Layout(POINTS, max(TILE, padded(n)) if tile else n, tile, np.dtype(dtype))
    return Plan(layout, 4 if max(n, *widths) <= NARROW else 8, interpret)


Kernel = Callable[[Points, Points], ConjugateResult]


def choose(
    solver: Any, potential: Layered | None, n: int, interpret: bool = False
) -> Kernel | None:
    """Return the kernel (y, x_init) -> result for a solver and a potential; None: there is none.

    Args:
        solver: a conjugate solver; one derived from ours computes what it likes, and has no kernel.
        potential: its layers; None for one that has none.
        n: dimension of the points.
        interpret: run it by JAX's interpreter, on any device; for tests.
    """
    body = body_of(solver)
    if potential is None or body is None:
        return None
    activations = activation_and_slope(potential.activation)
    layout = plan(n, potential.widths, potential.alpha.dtype, interpret)
    if activations is None or layout is None:
        return None
    return partial(_solve, solver, body, potential, layout, activations)


def _solve(
    solver: Any,
    body: Callable[..., Body],
    potential: Layered,
    plan: Plan,
    activations: tuple[Callable[[Any], Any], Callable[[Any], Any]],
    y: Points,
    x_init: Points,
) -> ConjugateResult:
    precision = lax.Precision.HIGHEST if plan.interpret else PRECISION
    weights, network = pack(potential, plan.layout, *activations, precision)
    name = f"conjugate_{type(solver).__name__.lower()}"
    made = body(solver, plan.layout, plan.interpret)
    return launch(name, plan, weights, network, made, y, x_init)


def body_of(solver: Any) -> Callable[..., Body] | None:
    """Return what makes a solver's body, of the module of its kind's name here; None: no kernel.

    Loaded by name, so that a cell depends on the kernel of its own solver alone.
    """
    room, _, kind = type(solver).__module__.rpartition(".")
    if room != "w2dual.conjugate" or not closure.exists(f"conjugate.kernels.{kind}"):
        return None
    module = importlib.import_module(f"w2dual.conjugate.kernels.{kind}")
    return module.body if type(solver) is module.SOLVER else None


def activation_and_slope(name: str) -> tuple[Callable[[Any], Any], Callable[[Any], Any]] | None:
    """Return an activation and its derivative from its value; None for one without a kernel."""
    if name in ("elu", "celu"):
        return elu, elu_slope
    prefix = "leaky_relu_"
    if name.startswith(prefix):
        slope = float(name.removeprefix(prefix))
        return (
            lambda z: jnp.where(z >= 0, z, slope * z),
            partial(leaky_relu_slope, negative_slope=slope),
        )
    return None
