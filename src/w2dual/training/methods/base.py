"""What a method is: all that the training loop, checkpoints and metrics need of what is trained.

All seeds of a cell are trained at once: every array of a method's state has a leading axis of
seeds, and points have the shape (seeds, points, n).

A method has as many networks as it likes, each with a name, and its parameters are a named tuple
with a field for each. It draws what it needs of a step's points itself, so that it may have inner
steps on fresh points; `state.step` tells which step it is, so that roles may swap.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from w2dual import conjugate, extensions
from w2dual.config import kinds
from w2dual.config.cells import REVERSED, method_kind
from w2dual.conjugate import Cost, InnerProduct
from w2dual.records import InputError
from w2dual.training.health import Incidents
from w2dual.training.methods.batches import Batch, Batches, Swapped

Params = Any
Trees = Mapping[str, Any]
"""Something of each network, by the network's name."""


class State(Protocol):
    """What is trained, a named tuple of arrays; a method may have more fields."""

    @property
    def params(self) -> Any:
        """Parameters: a named tuple, a field for each network, None where there is none."""
        ...

    @property
    def step(self) -> Int[Array, ""]:
        """Steps done."""
        ...

    @property
    def diverged_at(self) -> Int[Array, " seeds"]:
        """The step at which a seed diverged, from 1; -1 for one that goes on."""
        ...


AnyState = TypeVar("AnyState", bound=State)


class Step(NamedTuple, Generic[AnyState]):
    """What one update gives.

    Attributes:
        state: the new state.
        metrics: of the method's own type, each of shape (seeds,), the means over the batch.
        incidents: what has to be recorded; None for nothing.
    """

    state: AnyState
    metrics: Any
    incidents: Incidents | None = None


class Looped(NamedTuple):
    """A method as a loop of many steps runs it, on what the loop carries from step to step.

    What is carried may have another form than a state, but has its `step`.

    Attributes:
        enter: from a state to what is carried.
        update: as `Method.update`, of what is carried.
        leave: from what is carried to a state.
    """

    enter: Callable[[Any], Any]
    update: Callable[[Any, Batches, str | None], Step[Any]]
    leave: Callable[[Any], Any]


class Network(NamedTuple):
    """How one of a method's networks begins.

    Attributes:
        stream: name of the key stream that its parameters are drawn from.
        init: from a key and points (batch, n) to parameters.
        map: from parameters and points to points, which pre-training makes the identity; None for
            a network that is not pre-trained.
        start_from: name of a network before this one, and what makes this one's parameters of that
            one's, once it is pre-trained; None for a network that is drawn and pre-trained itself.
        project: from parameters to those that are admitted, after each step of pre-training; None
            where all are.
        noisy_map: the same as `map` with keys, one for each part of the points, of what is dropped
            out in pre-training; None where nothing is.
        observe: from the parameters before a step of pre-training, those after it and its points,
            to the latter with what the network notes of points; None where it notes nothing.
    """

    stream: str
    init: Callable[[Key[Array, ""], Float[Array, "batch n"]], Params]
    map: Callable[[Params, Float[Array, "batch n"]], Float[Array, "batch n"]] | None = None
    start_from: tuple[str, Callable[[Params], Params]] | None = None
    project: Callable[[Params], Params] | None = None
    noisy_map: Callable[[Params, Float[Array, "batch n"], Key[Array, " parts"]], Array] | None = (
        None
    )
    observe: Callable[[Params, Params, Float[Array, "batch n"]], Params] | None = None


class Method(abc.ABC, Generic[AnyState]):
    """What is trained and how: networks, one update, and the maps that come of it."""

    dimension: int
    """Of the points."""
    metrics: type
    """Named tuple of what is known of a step; each field is a mean over the batch, a seed."""
    calls_host: bool = False
    """Whether a step has a part that the host computes, as by `jax.pure_callback`."""
    has_map: bool = True
    """Whether points of the source are taken anywhere; where not, `push` raises and says why."""
    has_inverse: bool = True
    """Whether there is a map back; where there is none, `pull` raises and says why."""

    @property
    @abc.abstractmethod
    def networks(self) -> Mapping[str, Network]:
        """The networks by name, in the order in which they are initialised and pre-trained."""

    @abc.abstractmethod
    def assemble(self, trees: Trees) -> Params:
        """Return the named tuple of parameters, given those of each network in `networks`."""

    @abc.abstractmethod
    def init(self, params: Params) -> AnyState:
        """Return the state before the first step."""

    @abc.abstractmethod
    def update(self, state: AnyState, batches: Batches, over: str | None = None) -> Step[AnyState]:
        """Take one step on each seed; a seed that diverges keeps its last parameters.

        Args:
            state: the state of all seeds.
            batches: draws the points of this step.
            over: name of a mapped axis, where what is drawn is a part of the batch and the devices
                along the axis have the others: gradients and metrics must be averaged over it.
        """

    def in_loop(self, like: AnyState) -> Looped:
        """Return what a loop runs; here the state itself and `update`.

        Args:
            like: a state, for its shapes.
        """
        del like
        return Looped(lambda state: state, self.update, lambda state: state)

    @abc.abstractmethod
    def push(self, params: Params, x: Batch) -> Batch:
        """Return the image of points of the source.

        Raises:
            InputError: there is none (`has_map`).
        """

    @abc.abstractmethod
    def pull(self, params: Params, y: Batch) -> Batch:
        """Return the image of points of the target under the inverse map.

        Raises:
            InputError: there is none (`has_inverse`).
        """

    def words(self, means: Any) -> list[str]:
        """Word the means of some steps' metrics for the log; each is of shape (seeds,)."""
        return [
            f"{name.replace('_', ' ')} {np.mean(mean):.4g}"
            for name, mean in means._asdict().items()
        ]


class Conjugating(Method[AnyState]):
    """A method whose maps are T = grad f and its inverse x_hat, the conjugate's argmin.

    So for the cost -<x, y>. Without a solver x_hat is what the method predicts, unchecked.
    """

    solver: conjugate.ConjugateSolver[Any] | None
    """Of the conjugate; None where x_hat is predicted."""
    cost: Cost = InnerProduct()
    """c in J_f(x; y) = f(x) + c(x, y)."""

    @abc.abstractmethod
    def oracle(self, params: Params) -> conjugate.Oracle:
        """Return what gives f and grad f of each seed."""

    @abc.abstractmethod
    def amortized(self, params: Params, y: Batch) -> Batch:
        """Return x_tilde(y), the prediction of x_hat(y), where the solver starts."""

    def objective(
        self, params: Params, x: Batch, y: Batch
    ) -> tuple[Float[Array, "seeds batch"], Batch]:
        """Return J_f(x; y) and its gradient in x."""
        return conjugate.evaluate(self.oracle(params), y, x, self.cost)

    def push(self, params: Params, x: Batch) -> Batch:
        """T(x) = grad f(x) of each seed."""
        return self.oracle(params)(x)[1]

    def pull(self, params: Params, y: Batch) -> Batch:
        """x_hat(y) of each seed."""
        return self.conjugate(params, y).x

    def conjugate(self, params: Params, y: Batch) -> conjugate.ConjugateResult:
        """x_hat(y) of each seed: the solver's result from x_tilde(y), or x_tilde(y) itself.

        Without a solver nothing is checked: the status stays `RUNNING` and the iterations are 0;
        the gradient norm tells how far off the amortization is.
        """
        start = self.amortized(params, y)
        if self.solver is not None:
            return conjugate.solve(self.solver, self.oracle(params), y, start, cost=self.cost)
        value, gradient = self.objective(params, start, y)
        zeros = jnp.zeros(value.shape, jnp.int32)
        return conjugate.ConjugateResult(
            x=start,
            value=value,
            gradient_norm=jnp.max(jnp.abs(gradient), axis=-1),
            status=zeros + conjugate.Status.RUNNING,
            iterations=zeros,
            evaluations=zeros,
        )


@dataclass(frozen=True)
class Reversed(Method[AnyState]):
    """A method that is trained with source and target in each other's place.

    What it calls its map is then the inverse one, and what it calls the inverse is what is wanted
    as T. It has no conjugate of points of the target to speak of.
    """

    method: Method[AnyState]

    @property
    def dimension(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Of the points."""
        return self.method.dimension

    @property
    def metrics(self) -> type:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Of the method."""
        return self.method.metrics

    @property
    def calls_host(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Of the method."""
        return self.method.calls_host

    @property
    def networks(self) -> Mapping[str, Network]:
        """Those of the method."""
        return self.method.networks

    def assemble(self, trees: Trees) -> Params:
        """Return the parameters of the method."""
        return self.method.assemble(trees)

    def init(self, params: Params) -> AnyState:
        """Return the state of the method before the first step."""
        return self.method.init(params)

    def update(self, state: AnyState, batches: Batches, over: str | None = None) -> Step[AnyState]:
        """Take one step of the method on swapped points."""
        return self.method.update(state, Swapped(batches), over)

    def in_loop(self, like: AnyState) -> Looped:
        """Return what a loop runs of the method, on swapped points."""
        inner = self.method.in_loop(like)

        def update(carried: Any, batches: Batches, over: str | None) -> Step[Any]:
            return inner.update(carried, Swapped(batches), over)

        return inner._replace(update=update)

    def push(self, params: Params, x: Batch) -> Batch:
        """Return what the method calls the inverse."""
        return self.method.pull(params, x)

    def pull(self, params: Params, y: Batch) -> Batch:
        """Return what the method calls the map."""
        return self.method.push(params, y)

    def words(self, means: Any) -> list[str]:
        """Word them as the method does."""
        return self.method.words(means)


@dataclass(frozen=True)
class Divergence:
    """When a seed has diverged.

    It has when a new parameter is not finite, at any step; or when the step is the first or a
    multiple of `every` and its loss is not finite or beyond `loss` in size. That is the published
    rule, which looks at the loss of the steps that it logs (w2ot, run_train.py; log_freq in
    train.yaml); here it does not depend on logging. The loss of other steps may be what it likes:
    one point whose conjugate was not found makes a spike, which Adam's step hardly shows.
    """

    loss: float
    every: int

    def settle(
        self, state: State, loss: Float[Array, " seeds"], params: Params, *others: Any
    ) -> tuple[tuple[Any, ...], Int[Array, " seeds"]]:
        """Take a step's results for the seeds that it does not make diverge.

        Args:
            state: the state before the step.
            loss: of the step.
            params: the new parameters.
            others: pairs of (new, old) trees, such as the optimiser's, of which the same holds.

        Returns:
            What to keep of `params` and of each of `others`; and the new `diverged_at`.
        """
        alive = state.diverged_at < 0
        number = state.step + 1
        judged = (number == 1) | (number % self.every == 0)
        acceptable = ~judged | (jnp.abs(loss) <= self.loss)
        fine = alive & acceptable & _finite(params)
        diverges = alive & ~fine

        def keep(new: Any, old: Any) -> Any:
            return jax.tree.map(partial(_choose, fine), new, old)

        kept = tuple(keep(*pair) for pair in ((params, state.params), *others))
        return kept, jnp.where(diverges, number, state.diverged_at)


def _finite(params: Params) -> Bool[Array, " seeds"]:
    checks = [
        jnp.all(jnp.isfinite(leaf.reshape(leaf.shape[0], -1)), axis=1)
        for leaf in jax.tree.leaves(params)
    ]
    return jnp.all(jnp.stack(checks), axis=0)


def _choose(pick_new: Bool[Array, " seeds"], new: Array, old: Array) -> Array:
    return jnp.where(pick_new.reshape(pick_new.shape + (1,) * (new.ndim - 1)), new, old)


def make(settings: Mapping[str, Any], dimension: int) -> Method[Any]:
    """Build the method of a cell from its settings (`cells.Cell.settings`).

    One with `reversed: true` is trained with source and target swapped.

    Raises:
        InputError: a kind is unknown or its settings do not fit.
    """
    kind = method_kind(settings)
    own = dict(settings.get("method", {}))
    backwards = own.pop(REVERSED, False)
    if not isinstance(backwards, bool):
        raise InputError(f"`settings.method.{REVERSED}` is {backwards!r}; expected true or false")
    if own:
        settings = {**settings, "method": own}
    method = extensions.make(
        str(__package__),
        "method",
        "make(settings, dimension)",
        "a `Method`",
        kind,
        settings,
        dimension,
        known=lambda: kinds.of("methods"),
    )
    if not isinstance(method, Method):
        extensions.refuse(
            "method",
            kind,
            f"`make` gives {extensions.described(method)}",
            f"expected a `{__name__}.Method`",
        )
    if backwards and not method.has_inverse:
        raise InputError(
            f"`settings.method.{REVERSED}`: the method `{kind}` has no inverse map, which would be "
            "its map"
        )
    return Reversed(method) if backwards else method
