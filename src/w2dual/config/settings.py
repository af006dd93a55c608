"""The settings of a cell, typed: what is common to cells of every kind.

What a kind is made of (potential, amortization model, loss, solver, method) stays a mapping with a
`kind`, whose module reads it. Light: JAX is not imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class TrainingSettings:
    """How a method is trained.

    Attributes:
        batch_size: points per step.
        iterations: steps.
        learning_rate: of AdamW, with a cosine decay over the run.
        final_learning_rate_factor: what the learning rate has decayed to, as a fraction of it.
        b1, b2: AdamW's decay rates of the moments.
        weight_decay: of AdamW.
        divergence_loss: a loss whose absolute value is above this, or that is not finite, is a
            spike.
        divergence_every: a spike at a step that is a multiple of this is a divergence.
        shared_batches: whether all seeds see the same points of a step, which are drawn once.
        seeds_at_once: trained side by side, one group after another; None for all. Fewer take
            less memory.
    """

    batch_size: int
    iterations: int
    learning_rate: float
    final_learning_rate_factor: float
    b1: float
    b2: float
    weight_decay: float
    divergence_loss: float
    divergence_every: int
    shared_batches: bool = False
    seeds_at_once: int | None = None


@dataclass(frozen=True)
class PretrainingSettings:
    """How networks are trained to be the identity before training begins.

    Attributes:
        iterations: steps at most.
        learning_rate: of Adam.
        bound: half the side of the cube that points are drawn from.
        tolerance: loss to stop at.
        min_iterations: steps at least.
    """

    iterations: int
    learning_rate: float
    bound: float
    tolerance: float
    min_iterations: int


@dataclass(frozen=True)
class NormalPretrainingSettings:
    """The same, as the benchmark's own methods have it.

    Attributes:
        iterations: steps at most.
        learning_rate: of Adam.
        weight_decay: of its L2 penalty, which is a part of the gradient.
        spread: standard deviation of the normal law that points are drawn from.
        tolerance: squared error to stop at, a mean over points and coordinates.
    """

    iterations: int
    learning_rate: float
    weight_decay: float
    spread: float
    tolerance: float


@dataclass(frozen=True)
class CubePretrainingSettings:
    """The same on images: points are uniform on a cube, of which `bound` is half the side."""

    iterations: int
    learning_rate: float
    weight_decay: float
    bound: float
    tolerance: float


@dataclass(frozen=True)
class EvaluationSettings:
    """On how many fresh points maps are evaluated, and when.

    Attributes:
        samples: points of the final evaluation.
        history_every: steps between evaluations that the history keeps.
        history_samples: points of those.
        block: points evaluated at once, so that memory does not grow with their number. Each
            block has a key of its own, so that this decides which points are drawn.
    """

    samples: int
    history_every: int
    history_samples: int
    block: int = field(default=2048, kw_only=True)


@dataclass(frozen=True)
class SyntheticEvaluationSettings(EvaluationSettings):
    """The same of cells on the plane, whose maps are judged by samples.

    Attributes:
        epsilon: Sinkhorn's regularisation, as a fraction of the mean squared distance within the
            target.
    """

    epsilon: float


@dataclass(frozen=True)
class LagrangianEvaluationSettings(EvaluationSettings):
    """The same of cells whose cost is that of paths, with no inverse map.

    Attributes:
        published_samples: points of the published measure, an entropic distance.
        published_epsilon: its regularisation, in squared units of the points.
        cost_samples: points whose paths are found again, from several starts.
    """

    published_samples: int
    published_epsilon: float
    cost_samples: int


@dataclass(frozen=True)
class AlignmentEvaluationSettings(EvaluationSettings):
    """The same of cells that learn a metric, which is judged on a grid.

    Attributes:
        grid: points along each side of it.
    """

    grid: int


@dataclass(frozen=True)
class LoggingSettings:
    """How often training says how it goes.

    Attributes:
        every: steps per compiled chunk and progress line.
    """

    every: int


@dataclass(frozen=True)
class CellSettings:
    """All settings of a cell.

    Attributes:
        seeds: all trained in one job.
        training, pretraining, evaluation, logging: the same for cells of every kind.
        potential, amortization_model, amortization, solver: of which the method `dual` is made;
            each has a `kind`. Another method may do without.
        obstacle: the potential U of a cost that is an action; empty without one.
        method: its `kind` and its own settings; empty for `dual`.
    """

    seeds: tuple[int, ...]
    training: TrainingSettings
    pretraining: PretrainingSettings | NormalPretrainingSettings | CubePretrainingSettings
    evaluation: (
        EvaluationSettings
        | SyntheticEvaluationSettings
        | LagrangianEvaluationSettings
        | AlignmentEvaluationSettings
    )
    logging: LoggingSettings
    potential: Mapping[str, Any] = field(default_factory=dict)
    amortization_model: Mapping[str, Any] = field(default_factory=dict)
    amortization: Mapping[str, Any] = field(default_factory=dict)
    solver: Mapping[str, Any] = field(default_factory=dict)
    method: Mapping[str, Any] = field(default_factory=dict)
    obstacle: Mapping[str, Any] = field(default_factory=dict)
