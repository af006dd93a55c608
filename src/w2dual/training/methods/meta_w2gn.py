r"""Meta OT between palettes: a hyper-network predicts W2GN's two potentials for any two images.

From the encodings of two images it predicts psi on the source's colours and psi_bar on the
target's, each of 653 numbers (`potentials.quadratic_icnn`). For colours x, y of a pair, and
x_hat = grad psi_bar(y), sg[.] held fixed, its loss is W2GN's,

    mean[psi(x) + <sg[x_hat], y> - psi(sg[x_hat])]
      + w (mean |grad psi(x_hat) - y|^2 + mean |grad psi_bar(grad psi(x)) - x|^2)
      + r (mean p^2 + mean p_bar^2)

where means of squares run over points and coordinates, and p, p_bar are the parameters; the mean
over a batch of pairs is minimised. Source: Amos et al., Meta Optimal Transport, ICML 2023, and its
published code (train_color_meta.py).

A point is an image, as `measures.pairs.palettes` has it; one of the source and one of the target
are a pair, unless it is held out, or both are the same image: such a pair has no weight.

# DIFFERS: pre-training to the identity sees encodings that are drawn and not those of images; it
# has no clipping, and stops by its own rule (`pretraining` of the config). The 8 pairs of a batch
# draw pixels of their own, and not those of the same places.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Key

from w2dual import extensions
from w2dual.amortization import encoders
from w2dual.config.cells import encoding_of
from w2dual.config.settings import TrainingSettings
from w2dual.decoding import decode
from w2dual.measures.pairs.palettes import COLOUR, NUMBERS
from w2dual.potentials.quadratic_icnn import QuadraticICNN
from w2dual.records import InputError
from w2dual.training import health
from w2dual.training.methods import optimization
from w2dual.training.methods.base import (
    Batch,
    Batches,
    Divergence,
    Method,
    Network,
    Step,
    Trees,
)
from w2dual.training.methods.optimization import TrainingState

NEEDS = ()
"""The parts of a cell's settings that it is made of."""
EVALUATION = "meta_color"
"""What evaluates its cells."""
ENCODED = 256
"""Features of an encoded image [meta-ot models.py]."""
HIDDEN = 512
"""Units of the hidden layer that sees both images [meta-ot conf/train_color_meta.yaml]."""
START = 0.01
"""Factor on the first predictions of a residual, which begin near the Gaussian map [ours]."""
FAINT = -5.0
"""Outer weights of a residual's units before training: softplus(-5) is 0.007 [ours]."""


@dataclass(frozen=True)
class Settings:
    """Of `settings.method`, besides its kind.

    Attributes:
        encoder: kind of encoder, a module of `amortization.encoders`.
        points: colours of a point.
        cycle_weight: w.
        l2: r.
        warmup: steps in which the learning rate grows from 0, before its cosine decay.
        clip: norm above which a gradient is scaled down to it.
        residual: `none`, or `gaussian`: what is predicted is added to the parameters of the
            Gaussian map between the two images.
    """

    encoder: str
    points: int
    cycle_weight: float
    l2: float
    warmup: int
    clip: float
    residual: str


class Hyper(NamedTuple):
    """Parameters of the hyper-network; `statistics` of its encoder, None where it keeps none."""

    network: Any
    statistics: Any


HyperState = TrainingState[Hyper]


class Losses(NamedTuple):
    """Of one update, for each seed."""

    loss: Float[Array, " seeds"]
    dual_loss: Float[Array, " seeds"]
    cycle_loss: Float[Array, " seeds"]


class Instances(NamedTuple):
    """Images of one end, as points have them.

    Attributes:
        number: of the image.
        forbidden: image that it may not be paired with.
        encoding: of the image.
        colours: of the image, from 0 to 1.
    """

    number: Float[Array, "*axes"]
    forbidden: Float[Array, "*axes"]
    encoding: Float[Array, "*axes encoding"]
    colours: Float[Array, "*axes points 3"]

    @staticmethod
    def of(points: Float[Array, "*axes n"], count: int) -> Instances:
        """Take points apart.

        Args:
            points: of `measures.pairs.palettes`.
            count: colours of each.
        """
        colours = points[..., points.shape[-1] - COLOUR * count :]
        return Instances(
            number=points[..., 0],
            forbidden=points[..., 1],
            encoding=points[..., NUMBERS : points.shape[-1] - COLOUR * count],
            colours=colours.reshape(*points.shape[:-1], count, COLOUR),
        )


class Parts(NamedTuple):
    """The loss of a pair; and of what it is the sum, the dual and the weighted cycles."""

    loss: Float[Array, "*axes"]
    dual: Float[Array, "*axes"]
    cycle: Float[Array, "*axes"]


def pair_loss(
    icnn: QuadraticICNN,
    psi: Float[Array, "*axes parameters"],
    psi_bar: Float[Array, "*axes parameters"],
    x: Float[Array, "*axes points 3"],
    y: Float[Array, "*axes points 3"],
    cycle_weight: float,
    l2: float,
) -> Parts:
    """Return the loss of each pair; see the module's head."""
    x_hat = icnn.gradient(psi_bar, y)
    held = jax.lax.stop_gradient(x_hat)
    at_x, moved = icnn.value_and_gradient(psi, x)
    at_held = icnn.value(psi, held)
    dual = jnp.mean(at_x + jnp.sum(held * y, axis=-1) - at_held, axis=-1)
    there = jnp.mean((icnn.gradient(psi, x_hat) - y) ** 2, axis=(-2, -1))
    back = jnp.mean((icnn.gradient(psi_bar, moved) - x) ** 2, axis=(-2, -1))
    cycle = cycle_weight * (there + back)
    size = l2 * (jnp.mean(psi**2, axis=-1) + jnp.mean(psi_bar**2, axis=-1))
    return Parts(dual + cycle + size, dual, cycle)


def gaussian_parameters(
    icnn: QuadraticICNN, x: Float[Array, "*axes points 3"], y: Float[Array, "*axes points 3"]
) -> tuple[Float[Array, "*axes parameters"], Float[Array, "*axes parameters"]]:
    """Return the parameters whose gradients are the Gaussian map of colours and its inverse.

    As `measures.linear`, on any number of axes and on the device; a thousandth of the cube's side
    is added to the spread in each direction, since gray images have some without any.
    """
    floor = 1e-6 * jnp.eye(COLOUR)

    def moments(points: Array) -> tuple[Array, Array]:
        mean = jnp.mean(points, axis=-2)
        centred = points - mean[..., None, :]
        cov = jnp.swapaxes(centred, -1, -2) @ centred / points.shape[-2]
        return mean, cov + jnp.broadcast_to(floor, cov.shape)

    def power(matrix: Array, exponent: float) -> Array:
        values, vectors = jnp.linalg.eigh(matrix)
        scaled = vectors * (jnp.maximum(values, 1e-9) ** exponent)[..., None, :]
        return scaled @ jnp.swapaxes(vectors, -1, -2)

    def one(mean: Array, cov: Array, mean_to: Array, cov_to: Array) -> Array:
        root, inverse = power(cov, 0.5), power(cov, -0.5)
        matrix = inverse @ power(root @ cov_to @ root, 0.5) @ inverse
        matrix = (matrix + jnp.swapaxes(matrix, -1, -2)) / 2
        return icnn.affine(matrix, mean_to - jnp.einsum("...ij,...j->...i", matrix, mean))

    of_x, of_y = moments(x), moments(y)
    return one(*of_x, *of_y), one(*of_y, *of_x)


class HyperNetwork(nn.Module):
    """Encodings of two images, (batch, m) each, to the parameters of psi and psi_bar.

    Attributes:
        encoder: kind of encoder, shared by both images.
        outputs: parameters of one potential.
        scale: of the last layer's weights as they are drawn.
        axis: mapped axis over which statistics are averaged.
    """

    encoder: str
    outputs: int
    scale: float
    axis: str | None = None

    @nn.compact
    def __call__(
        self, source: Array, target: Array, train: bool = False
    ) -> Float[Array, "batch 2 outputs"]:
        """Predict."""
        encode = encoders.make(self.encoder, ENCODED, self.axis)
        count = source.shape[0]
        both = encode(jnp.concatenate([source, target]), train=train)
        hidden = nn.relu(nn.Dense(HIDDEN)(jnp.concatenate([both[:count], both[count:]], axis=-1)))
        last = nn.initializers.variance_scaling(self.scale, "fan_in", "truncated_normal")
        return nn.Dense(2 * self.outputs, kernel_init=last)(hidden).reshape(count, 2, -1)


@dataclass(frozen=True)
class MetaW2GN(Method[HyperState]):
    """The method; fields as `Settings` and `TrainingSettings` have them."""

    dimension: int
    settings: Settings
    optimizer: optax.GradientTransformation
    divergence: Divergence
    icnn: QuadraticICNN = QuadraticICNN()
    metrics: ClassVar[type] = Losses

    @property
    def has_residual(self) -> bool:
        """Whether predictions are added to the Gaussian map's parameters."""
        return self.settings.residual == "gaussian"

    @property
    def keeps_statistics(self) -> bool:
        """Whether the encoder keeps statistics, which are saved beside its parameters."""
        shapes = jax.eval_shape(self._variables, jax.random.key(0))
        return "batch_stats" in shapes

    # -- what a method is -----------------------------------------------------------------------

    @property
    def networks(self) -> Mapping[str, Network]:
        """The hyper-network; and, as if they were one, the statistics that its encoder keeps.

        Statistics are moved by no gradient, but are kept, saved and resumed as parameters are.
        """

        def init(key: Key[Array, ""], points: Array) -> Any:
            del points
            return self._variables(key)["params"]

        def statistics(key: Key[Array, ""], points: Array) -> Any:
            del points
            return self._variables(key)["batch_stats"]

        found = {
            "network": Network("hyper-network", init, None if self.has_residual else self._map)
        }
        if self.keeps_statistics:
            found["statistics"] = Network("hyper-network statistics", statistics)
        return found

    def assemble(self, trees: Trees) -> Hyper:
        """Return the named tuple of parameters."""
        return Hyper(trees["network"], trees.get("statistics"))

    def init(self, params: Hyper) -> HyperState:
        """Start training from parameters with a leading axis of seeds."""
        optimizer = jax.vmap(self.optimizer.init)(params.network)
        return optimization.before_training(params, optimizer)

    def update(
        self, state: HyperState, batches: Batches, over: str | None = None
    ) -> Step[HyperState]:
        """Take one step; a seed that diverges keeps its last parameters."""
        gradient = jax.vmap(jax.grad(partial(self._loss, over), has_aux=True))
        source, target = batches.source(), batches.target()
        found = gradient(state.params.network, state.params.statistics, source, target)
        if over is not None:
            flat, restore = ravel_pytree(found)
            found = restore(jax.lax.pmean(flat, over))
        gradients, (metrics, statistics) = found

        network, optimizer = jax.vmap(partial(optimization.moved, self.optimizer))(
            gradients, state.optimizer, state.params.network
        )
        alive, number = state.diverged_at < 0, state.step + 1
        (params, optimizer), diverged_at = self.divergence.settle(
            state, metrics.loss, Hyper(network, statistics), (optimizer, state.optimizer)
        )
        return Step(
            TrainingState(params, optimizer, number, diverged_at),
            metrics,
            health.of_step(number, alive, metrics.loss, self.divergence.loss, None),
        )

    def push(self, params: Hyper, x: Batch) -> Batch:
        """Move the colours of each point to those of the next one of the batch, at the last axis.

        A map needs two images. What moves colours of a pair of images is `moved`; here the pairs
        are a point and its neighbour, so that whoever knows points alone can look at the maps.
        """
        return self._neighbours(params, x, forward=True)

    def pull(self, params: Hyper, y: Batch) -> Batch:
        """Move the colours of each point back to those of the one before."""
        return self._neighbours(params, y, forward=False)

    # -- predictions ----------------------------------------------------------------------------

    def predict(
        self, params: Hyper, source: Instances, target: Instances
    ) -> tuple[Float[Array, "batch parameters"], Float[Array, "batch parameters"]]:
        """Return psi and psi_bar of pairs of images; the parameters are of one seed."""
        predicted, _ = self._predicted(None, False, *params, source, target)
        return predicted

    def _loss(
        self, over: str | None, network: Any, statistics: Any, source: Batch, target: Batch
    ) -> tuple[Array, tuple[Losses, Any]]:
        """Return the loss of one seed; with `over`, a part whose mean over devices it is."""
        x, y = (Instances.of(points, self.settings.points) for points in (source, target))
        (psi, psi_bar), statistics = self._predicted(over, True, network, statistics, x, y)
        parts = pair_loss(
            *(self.icnn, psi, psi_bar, x.colours, y.colours),
            *(self.settings.cycle_weight, self.settings.l2),
        )
        admitted = ((x.number != y.number) & (x.forbidden != y.number)).astype(psi.dtype)
        share = jnp.mean(admitted)
        share = share if over is None else jax.lax.pmean(share, over)
        weights = admitted / jnp.maximum(share, 1e-6)
        losses = Losses(*(jnp.mean(weights * part) for part in parts))
        return losses.loss, (losses, statistics)

    def _predicted(
        self,
        over: str | None,
        train: bool,
        network: Any,
        statistics: Any,
        source: Instances,
        target: Instances,
    ) -> tuple[tuple[Array, Array], Any]:
        variables = {"params": network}
        if statistics is not None:
            variables["batch_stats"] = statistics
        arguments = (variables, source.encoding, target.encoding)
        module = self._module(over)
        if train and statistics is not None:
            found, changed = module.apply(*arguments, train=True, mutable=["batch_stats"])
            statistics = changed["batch_stats"]
        else:
            found = module.apply(*arguments, train=False)
        psi, psi_bar = found[:, 0], found[:, 1]  # pyright: ignore[reportIndexIssue, reportCallIssue, reportArgumentType]
        if self.has_residual:
            known = gaussian_parameters(self.icnn, source.colours, target.colours)
            psi, psi_bar = psi + known[0], psi_bar + known[1]
        return (psi, psi_bar), statistics

    def _module(self, over: str | None = None) -> HyperNetwork:
        scale = START**2 if self.has_residual else 1.0
        return HyperNetwork(self.settings.encoder, self.icnn.parameters, scale, over)

    def _variables(self, key: Key[Array, ""]) -> Any:
        """Draw the network, the bias of its last layer as two potentials are drawn."""
        numbers = self.dimension - NUMBERS - COLOUR * self.settings.points
        one = jnp.zeros((1, numbers))
        variables = dict(self._module().init(key, one, one))
        drawn = jax.vmap(self.icnn.draw)(jax.random.split(jax.random.fold_in(key, 1), 2))
        if self.has_residual:  # units with little pull: all else begins as the Gaussian map's
            parts = self.icnn.parts(drawn)
            zeros = jax.tree.map(jnp.zeros_like, parts)
            outer = jnp.full_like(parts.outer, FAINT)
            drawn = self.icnn.join(zeros._replace(weights=parts.weights, outer=outer))
        params = dict(variables["params"])
        last = max(params, key=lambda name: params[name].get("bias", jnp.zeros(0)).size)
        params[last] = {**params[last], "bias": drawn.reshape(-1)}
        return {**variables, "params": params}

    def _map(self, network: Any, points: Batch) -> Batch:
        """Return points whose colours the two predicted maps have moved, for pre-training.

        Its points are uniform on a cube [-b, b]^n. The first half of the batch are sources, the
        second targets. Encodings are made of what stands at their place, as histograms that hold
        little in most cells, or as images; colours are moved to the middle of theirs, 1/2. What
        is returned differs from the points in colours alone, by (grad psi - x) / sqrt(points), so
        that the squared error is a mean over colours.
        """
        count = self.settings.points
        half = points.shape[0] // 2
        instances = Instances.of(points, count)
        drawn = instances._replace(encoding=self._drawn_encoding(instances.encoding))
        source = jax.tree.map(lambda leaf: leaf[:half], drawn)
        target = jax.tree.map(lambda leaf: leaf[half : 2 * half], drawn)
        fresh = self._fresh_statistics()
        (psi, psi_bar), _ = self._predicted(None, fresh is not None, network, fresh, source, target)
        moved = jnp.concatenate(
            [
                self.icnn.gradient(vector, ends.colours + 0.5) - 0.5 - ends.colours
                for vector, ends in ((psi, source), (psi_bar, target))
            ]
        )
        error = jnp.zeros_like(points)
        flat = moved.reshape(2 * half, -1) / jnp.sqrt(count)
        return points + error.at[: 2 * half, points.shape[1] - COLOUR * count :].set(flat)

    def _drawn_encoding(self, uniform: Array) -> Array:
        if encoding_of(self.settings.encoder) == "histogram":
            return jax.nn.softmax(8.0 * uniform, axis=-1)
        return (uniform + 1.0) / 2.0

    def _fresh_statistics(self) -> Any:
        if not self.keeps_statistics:
            return None
        shapes = jax.eval_shape(self._variables, jax.random.key(0))["batch_stats"]
        return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)

    def _neighbours(self, params: Hyper, points: Batch, forward: bool) -> Batch:
        def one(params: Hyper, points: Array) -> Array:
            ends = Instances.of(points, self.settings.points)
            other = jax.tree.map(lambda leaf: jnp.roll(leaf, -1 if forward else 1, axis=0), ends)
            source, target = (ends, other) if forward else (other, ends)
            psi, psi_bar = self.predict(params, source, target)
            moved = self.icnn.gradient(psi if forward else psi_bar, ends.colours)
            size = COLOUR * self.settings.points
            return jnp.concatenate([points[:, :-size], moved.reshape(points.shape[0], -1)], axis=-1)

        return jax.vmap(one)(params, points)


def make(settings: Mapping[str, Any], dimension: int) -> MetaW2GN:
    """Build the method of a cell from its settings (`cells.Cell.settings`).

    Raises:
        InputError: the encoder is unknown or settings do not fit.
    """
    own = decode(Settings, extensions.without_kind(settings["method"]), "cell", "settings.method")
    training = decode(TrainingSettings, settings["training"], "cell", "settings.training")
    encoding_of(own.encoder)
    if own.residual not in ("none", "gaussian"):
        raise InputError(
            f"cell: `settings.method.residual` is {own.residual!r}; expected `none` or `gaussian`"
        )
    if dimension <= NUMBERS + COLOUR * own.points:
        raise InputError(
            f"cell: `dimension` is {dimension}, too few for {own.points} colours and an encoding"
        )
    warmup = min(own.warmup, training.iterations - 1)
    schedule = optax.warmup_cosine_decay_schedule(
        0.0 if warmup else training.learning_rate,
        training.learning_rate,
        warmup,
        training.iterations,
        training.learning_rate * training.final_learning_rate_factor,
    )
    adam = optax.adamw(schedule, b1=training.b1, b2=training.b2, weight_decay=training.weight_decay)
    optimizer = optax.flatten(optax.chain(optax.clip_by_global_norm(own.clip), adam))
    return MetaW2GN(
        dimension=dimension,
        settings=own,
        optimizer=optimizer,
        divergence=Divergence(training.divergence_loss, training.divergence_every),
    )
