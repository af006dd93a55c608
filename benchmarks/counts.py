"""How many operations and bytes a training step of w2dual needs, counted from the sizes.

Counted are multiply-adds in matrix products, 2 operations each; activations, inner products of
L-BFGS and optimiser are not. With F the products of one evaluation of f at a point, F_x those of
them that take x, A those of the amortization model, A_y those that take y, G those of one DenseICNN
of the ground truth, S those of sampling the mixture and E the evaluations of the solver, a
point of the batch costs

    E * 2F                 value and grad f at each evaluation
    + 2 (3F - F_x)         loss and gradient in f's parameters, at x and at x_hat
    + 3A - A_y             the same of the amortization model, whose output the solver starts at
    + 4G + 2S              T* pushes y through two gradients; x, and what y is pushed from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from w2dual.measures.benchmark import icnn_dense
from w2dual.records import InputError

FLOAT_BYTES = 4
OPTIMIZER_PASSES = 7
"""Reads of gradient, parameter, two moments; writes of the last three."""


@dataclass(frozen=True)
class Products:
    """Multiply-adds of one forward pass at one point.

    Attributes:
        forward: of all products.
        of_input: of those whose left factor is the network's input.
        units: outputs of all layers, which are kept for the backward pass.
    """

    forward: int
    of_input: int
    units: int

    @property
    def value_and_gradient(self) -> int:
        """Forward, and backward to the input: each product once more."""
        return 2 * self.forward

    @property
    def parameter_gradient(self) -> int:
        """Forward, backward to the layers' inputs but the network's own, and to the weights."""
        return 3 * self.forward - self.of_input


def chain(widths: Sequence[int]) -> int:
    """Multiply-adds of layers of these widths, one after the other."""
    return sum(a * b for a, b in pairwise(widths))


def potential(kind: str, n: int, hidden: Sequence[int]) -> Products:
    """Count the products of f.

    Raises:
        InputError: the kind is not one that is counted here.
    """
    outputs = [*hidden, 1]
    if kind == "mlp":
        return Products(chain([n, *outputs]), n * hidden[0], sum(outputs))
    if kind == "icnn":
        skips = n * sum(outputs)
        return Products(skips + chain(outputs), skips, sum(outputs))
    raise InputError(f"potential kind {kind!r}: its operations are counted for mlp and icnn only")


def amortization_model(n: int, hidden: Sequence[int]) -> Products:
    """Count the products of x_tilde."""
    return Products(chain([n, *hidden, n]), n * hidden[0], sum(hidden) + n)


def dense_icnn(n: int) -> int:
    """Multiply-adds of one potential of the ground truth at one point."""
    hidden = icnn_dense.hidden_sizes(n)
    return 2 * n * sum(hidden) + chain([*hidden, 1])


@dataclass(frozen=True)
class StepCounts:
    """Of one training step; operations are floating-point ones, two for a multiply-add."""

    conjugation_flop: float
    updates_flop: float
    ground_truth_flop: float
    sampling_flop: float
    parameter_bytes: float
    activation_bytes: float

    @property
    def flop(self) -> float:
        """All operations."""
        return (
            self.conjugation_flop + self.updates_flop + self.ground_truth_flop + self.sampling_flop
        )

    def to_json(self) -> dict[str, Any]:
        """Return the counts and their sums."""
        total = self.parameter_bytes + self.activation_bytes
        return asdict(self) | {
            "flop": self.flop,
            "bytes": total,
            "flop_per_byte": self.flop / total,
        }


def step(
    kind: str,
    n: int,
    hidden: Sequence[int],
    *,
    batch: int,
    evaluations: float,
    lanes: int,
    components: int,
    potential_parameters: int,
    model_parameters: int,
) -> StepCounts:
    """Count a training step by regression.

    Bytes are those that pass between the arithmetic units and whatever level holds the data: each
    call of the network reads its parameters forward and backward, and writes and reads each
    layer's output both ways; the optimiser makes seven passes over the parameters.

    Args:
        kind: of the potential.
        n: dimension of the points.
        hidden: widths of both networks.
        batch: points of each measure.
        evaluations: of the solver for a point, the mean.
        lanes: points that the solver evaluates in one call.
        components: of the source mixture.
        potential_parameters: numbers in f.
        model_parameters: numbers in the amortization model.
    """
    f, model = potential(kind, n, hidden), amortization_model(n, hidden)
    conjugation = evaluations * f.value_and_gradient
    updates = 2 * f.parameter_gradient + model.parameter_gradient
    calls = evaluations * batch / lanes
    parameters = 2 * potential_parameters * (calls + 2) + 3 * model_parameters
    parameters += OPTIMIZER_PASSES * (potential_parameters + model_parameters)
    activations = 4 * batch * ((evaluations + 2) * f.units + model.units)
    return StepCounts(
        conjugation_flop=2 * batch * conjugation,
        updates_flop=2 * batch * updates,
        ground_truth_flop=2 * batch * 4 * dense_icnn(n),
        sampling_flop=2 * batch * 2 * components * (n * n + n),
        parameter_bytes=FLOAT_BYTES * parameters,
        activation_bytes=FLOAT_BYTES * activations,
    )
