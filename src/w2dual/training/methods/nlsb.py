"""The neural Lagrangian Schroedinger bridge: a diffusion from source to target of least action.

    dX = -grad Phi(X, t) dt + g(X, t) dW  on [0, 1],

trained on

    S(X_1, target) + w_L E int 1/2 |grad Phi|^2 - U dt + w_R E int |residual| dt,

with S the Sinkhorn divergence and the residual that of the equation of Hamilton, Jacobi and Bellman
(`paths.diffusion`). Nothing amortizes a conjugate, and there is no inverse map. The map is random:
one drawn path takes a point somewhere, and the mean of many to its expected place. For `push` and
evaluations a path's noise is drawn from a key made of the bits of its first point, so that it is a
function of the point alone. Source: Koshizuka and Sato (ICLR 2023), with the settings of its
published code.

# DIFFERS: the published code draws 2,048 points of the target once and takes batches of them; here
the target's points are fresh at each step, as the source's are there and here. It keeps the
parameters whose validation error was the lowest; here a run's last ones are judged, and its best
evaluation stands beside (`metrics.json`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial, reduce
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key

from w2dual import rng
from w2dual.entropic.divergence import divergence
from w2dual.paths import obstacles
from w2dual.paths.action import PUBLISHED_SEGMENTS, Rule
from w2dual.paths.diffusion import Diffusion, Noise, Phi, Points, Simulated, Values, simulate
from w2dual.records import InputError
from w2dual.training import health
from w2dual.training.methods import optimization, two_potentials
from w2dual.training.methods.along_paths import AlongPaths, Scene, Travelled
from w2dual.training.methods.base import Batch, Batches, Divergence, Network, Step, Trees
from w2dual.training.methods.optimization import TrainingState

NEEDS = ()
"""The parts of a cell's settings that it is made of."""
EVALUATION = "lagrangian"
RANDOM = True
"""Its map is random (`along_paths`)."""
UNIT = PUBLISHED_SEGMENTS**2
"""U in the action is this times U in the published unit of `lagrangian.settings`."""


@dataclass(frozen=True)
class Settings:
    """Of `settings.method`, besides its kind.

    Attributes:
        hidden: width of Phi's two layers.
        diffusion: widths of the network g.
        constant: g where it is a number and no network; null for the network.
        steps: of Euler and Maruyama, from 0 to 1.
        blur: root of the Sinkhorn divergence's epsilon, in the units of the points.
        scaling: factor between the roots of two epsilons of its schedule.
        action_weight: w_L.
        residual_weight: w_R.
        penalty: the largest -U of the action in training; null for the setting's own, 361 M.
        repeats: paths of a point, whose mean is the expected one.
        strength, temperature: M and T of the setting's obstacle, in the published unit.
        bound: half the side of the cube that the setting is shown in; images are not clipped to it.
    """

    hidden: int
    diffusion: tuple[int, ...]
    constant: float | None
    steps: int
    blur: float
    scaling: float
    action_weight: float
    residual_weight: float
    penalty: float | None
    repeats: int
    strength: float
    temperature: float
    bound: float


class Networks(NamedTuple):
    """Something for Phi and for g, None where that is a constant."""

    drift: Any
    diffusion: Any


NState = TrainingState[Networks]


class StepMetrics(NamedTuple):
    """Of one update, for each seed; action and residual are means over the batch."""

    loss: Float[Array, " seeds"]
    divergence: Float[Array, " seeds"]
    action: Float[Array, " seeds"]
    residual: Float[Array, " seeds"]


@dataclass(frozen=True, eq=False)
class Bridge(AlongPaths[NState]):
    """What is trained: networks, weights of the loss and optimiser of one cell."""

    settings: Settings
    place: Scene
    optimizer: optax.GradientTransformation
    settling: Divergence
    dimension: int
    metrics: ClassVar = StepMetrics

    # -- networks -----------------------------------------------------------------------------

    @property
    def networks(self) -> Mapping[str, Network]:
        """Phi, and g where it is a network; none is pre-trained."""
        found = {"drift": Network("drift", self._phi.init)}
        if self.settings.constant is None:
            found["diffusion"] = Network("diffusion", self._init_diffusion)
        return found

    @property
    def _phi(self) -> Phi:
        return Phi(self.settings.hidden, self.dimension)

    @property
    def _diffusion(self) -> Diffusion:
        return Diffusion(self.settings.diffusion, self.dimension)

    def _init_diffusion(self, key: Key[Array, ""], x: Points) -> Any:
        inputs = jnp.zeros((len(x), self.dimension + 1), x.dtype)
        return self._diffusion.init(key, inputs)["params"]

    def assemble(self, trees: Trees) -> Networks:
        """Return the parameters of both networks."""
        return Networks(trees["drift"], trees.get("diffusion"))

    def init(self, params: Networks) -> NState:
        """Start training from parameters with a leading axis of seeds."""
        return optimization.started(self.optimizer, params)

    # -- paths --------------------------------------------------------------------------------

    @property
    def scene(self) -> Scene:
        """Where paths are."""
        return self.place

    @property
    def rule(self) -> Rule:
        """How paths are discretised."""
        return Rule(self.settings.steps, "left")

    def paths(
        self, params: Networks, x: Points, noise: Noise, strength: float, keep: bool = False
    ) -> Simulated:
        """Return a path from each point, and its integrals, for one seed.

        Args:
            params: of the seed.
            x: where they begin.
            noise: standard normal numbers.
            strength: of U in the action.
            keep: whether all points are kept.
        """
        constant, obstacle = self.settings.constant, self.place.obstacle

        def spread(at: Points, t: Any) -> Points:
            if constant is not None:
                return jnp.full_like(at, constant)
            inputs = jnp.concatenate([at, jnp.full((len(at), 1), t, at.dtype)], axis=-1)
            found = self._diffusion.apply({"params": params.diffusion}, inputs)
            assert isinstance(found, jax.Array)  # noqa: S101  (no collection is mutable)
            return found

        def potential(at: Points) -> Values:
            return obstacle(at.T, strength, self.place.temperature)

        derivatives = partial(self._phi.derivatives, params.drift)
        return simulate(derivatives, spread, potential, x, noise, keep)

    def _drawn(self, params: Networks, x: Batch, number: Any) -> Simulated:
        """Return the paths of a number, which the points' own bits decide, of all seeds."""

        def one(own: Networks, points: Points) -> Simulated:
            shape = (self.settings.steps, self.dimension)
            noise = jax.vmap(lambda key: jax.random.normal(rng.at(key, number), shape))(
                _keys(points)
            )
            strength = UNIT * self.place.strength
            return self.paths(own, points, jnp.moveaxis(noise, 0, 1), strength, keep=True)

        return jax.vmap(one)(params, x)

    def travel(self, params: Networks, x: Batch) -> Travelled:
        """Return a drawn path of each point, and the mean of `repeats` others."""
        first, repeats = self._drawn(params, x, 0), self.settings.repeats

        def add(total: Array, number: Array) -> tuple[Array, None]:
            path = self._drawn(params, x, number).path
            assert path is not None  # noqa: S101  (it is kept)
            return total + path, None

        assert first.path is not None  # noqa: S101
        total, _ = jax.lax.scan(add, jnp.zeros_like(first.path), jnp.arange(1, repeats + 1))
        # From (seeds, points, batch, n) to coordinates before what is batched.
        path, expected = (jnp.transpose(p, (1, 3, 0, 2)) for p in (first.path, total / repeats))
        return Travelled(first.last, path, first.action / PUBLISHED_SEGMENTS, expected=expected)

    def push(self, params: Networks, x: Batch) -> Batch:
        """Return where one drawn path of each point leads; which one, the point itself decides."""
        return self._drawn(params, x, 0).last

    def pull(self, params: Networks, y: Batch) -> Batch:
        """Say that there is none: a diffusion is not run backwards.

        Raises:
            InputError: always.
        """
        raise InputError(
            "the method `nlsb` has no inverse map: its diffusion takes points of the source to the "
            "target; ask for the forward map"
        )

    # -- training -----------------------------------------------------------------------------

    @property
    def strength(self) -> float:
        """Of U in the action of training."""
        own = self.settings.penalty
        return UNIT * self.place.strength if own is None else own

    def update(self, state: NState, batches: Batches, over: str | None = None) -> Step[NState]:
        """Take one step on each seed; a seed that diverges keeps its last parameters.

        Args:
            state: the state of all seeds.
            batches: the points of this step, and keys for the noise.
            over: name of a mapped axis, where the points are a part of the batch.
        """
        own, x, y = self.settings, batches.source(), batches.target()
        noise = jax.vmap(partial(self._noise, x.shape[1]))(batches.more_keys())

        def simulated(params: Networks) -> tuple[Batch, Array, Array]:
            paths = partial(self.paths, strength=self.strength)
            found = jax.vmap(paths)(params, x, noise)
            return found.last, found.action, found.residual

        (last, action, residual), back = jax.vjp(simulated, state.params)
        ends, aim = (two_potentials.whole(points, over) for points in (last, y))
        apart = jax.vmap(partial(divergence, blur=own.blur, scaling=own.scaling))(ends, aim)
        slope = apart.gradient
        if over is not None:  # this device's part, as a mean over devices has it
            place = jax.lax.axis_index(over) * x.shape[1]
            slope = jax.lax.dynamic_slice_in_dim(slope, place, x.shape[1], axis=1)
            slope = slope * (ends.shape[1] // x.shape[1])
        even = jnp.full_like(action, 1 / x.shape[1])
        (gradients,) = back((slope, own.action_weight * even, own.residual_weight * even))
        means = jnp.mean(action, axis=1), jnp.mean(residual, axis=1)
        if over is not None:
            gradients, means = jax.lax.pmean((gradients, means), over)
        loss = apart.value + own.action_weight * means[0] + own.residual_weight * means[1]
        new, optimizer = self._moved(gradients, state)
        number = state.step + 1
        (params, optimizer), diverged_at = self.settling.settle(
            state, loss, new, (optimizer, state.optimizer)
        )
        happened = health.of_step(number, state.diverged_at < 0, loss, self.settling.loss, None)
        metrics = StepMetrics(loss, apart.value, *means)
        return Step(TrainingState(params, optimizer, number, diverged_at), metrics, happened)

    def _noise(self, size: int, keys: Key[Array, " parts"]) -> Noise:
        """Return the noise of one seed's paths, each part of which has a key of its own."""
        shape = (self.settings.steps, size // len(keys), self.dimension)
        parts = jax.vmap(lambda key: jax.random.normal(key, shape))(keys)
        return jnp.concatenate(list(parts), axis=1)

    def _moved(self, gradients: Networks, state: NState) -> tuple[Networks, Networks]:
        step = jax.vmap(partial(optimization.moved, self.optimizer))
        moved = [
            (None, None) if old is None else step(gradient, optimizer, old)
            for gradient, optimizer, old in zip(
                gradients, state.optimizer, state.params, strict=True
            )
        ]
        return Networks(*(new for new, _ in moved)), Networks(*(new for _, new in moved))


def _keys(x: Points) -> Key[Array, " batch"]:
    """Return a key for each point, made of its coordinates' bits."""
    words = jax.lax.bitcast_convert_type(x.astype(jnp.float32), jnp.uint32)
    start = rng.stream(0, "noise of a random map")
    return jax.vmap(lambda own: reduce(rng.at, own, start))(words)


def make(settings: Mapping[str, Any], dimension: int) -> Bridge:
    """Build the method of a cell from its settings (`cells.Cell.settings`).

    Raises:
        InputError: settings do not fit, or there is no obstacle.
    """
    chosen = two_potentials.own(Settings, settings)
    if "obstacle" not in settings:
        raise InputError("cell: the method `nlsb` needs `settings.obstacle`")
    moved = optimization.of(settings)
    return Bridge(
        settings=chosen,
        place=Scene(
            obstacle=obstacles.make(settings["obstacle"], dimension),
            strength=chosen.strength,
            temperature=chosen.temperature,
            bound=chosen.bound,
        ),
        optimizer=moved.optimizer,
        settling=moved.divergence,
        dimension=dimension,
    )
