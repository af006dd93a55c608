"""The suite for a method: whether loop, checkpoints, metrics and files can rely on it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from w2dual import extensions
from w2dual.backend import jit
from w2dual.config.cells import needs
from w2dual.conformance.base import (
    Check,
    Suite,
    Verdict,
    all_finite,
    judge,
    require,
    same,
)
from w2dual.conformance.cell import HIDDEN, POINTS, SEEDS, SMALL, Drawn, N
from w2dual.training import checkpoint, files, methods
from w2dual.training.health import Incidents, Totals
from w2dual.training.methods import Method, Network
from w2dual.training.progress import Timing

AXIS = "parts"
ROUNDING = 1e-4
STEP = 1e-3
"""Of the gradient that has to make a network more like the identity."""
_jit = partial(jit, once=True)


def verdicts(kind: str, settings: Mapping[str, Any]) -> list[Verdict]:
    """Check a method in 2 dimensions, with 2 seeds, on a few steps from its networks as drawn.

    Args:
        kind: the module in `w2dual.training.methods`.
        settings: of `make`, which are a cell's: the parts that the method is made of, and its own
            under `method`. What is left out of the rest is that of `SMALL`; widths are [8, 8].
    """
    suite = _Suite(kind, settings)
    return judge(
        [
            Check("declares its parts", suite.declares, needed=True),
            Check("networks", suite.networks, needed=True),
            Check("shapes and types", suite.shapes, needed=True),
            Check("keeps no state", suite.no_state, needed=True),
            Check("pre-training", suite.pretraining),
            Check("learns", suite.learns, needed=True),
            Check("the same again", suite.again),
            Check("seeds are independent", suite.seeds),
            Check("diverged seeds", suite.diverged),
            Check("checkpoints", suite.checkpoints),
            Check("files", suite.files),
            Check("points are independent", suite.points),
            Check("shares a batch", suite.shares),
        ]
    )


class _Suite(Suite[Method[Any]]):
    """A method, its state as it begins, and points."""

    def __init__(self, kind: str, settings: Mapping[str, Any]) -> None:
        super().__init__(kind, {**SMALL, **settings})
        self.kind = self.settings.pop("kind")
        self.settings["method"] = {**settings.get("method", {}), "kind": kind}
        for part in ("potential", "amortization_model"):
            if part in settings:
                self.settings[part] = {"hidden": list(HIDDEN), **settings[part]}
        self.keys = jax.random.split(jax.random.key(0), SEEDS)
        self.plain = np.ones(SEEDS, np.float32)
        self.x = np.random.default_rng(0).normal(size=(SEEDS, POINTS, N)).astype(np.float32)

    def make(self) -> Method[Any]:
        return methods.make(self.settings, N)

    @cached_property
    def params(self) -> Any:
        """Parameters of both seeds, as they are drawn."""
        return jax.tree.map(np.asarray, _jit(self._drawn)(self.keys))

    def _drawn(self, keys: Any) -> Any:
        trees = {}
        for number, (name, network) in enumerate(self.made.networks.items()):
            own = jax.vmap(partial(jax.random.fold_in, data=number))(keys)
            trees[name] = jax.vmap(network.init)(own, jnp.asarray(self.x))
        return self.made.assemble(trees)

    @cached_property
    def start(self) -> Any:
        return jax.tree.map(np.asarray, self.begin(self.params))

    @cached_property
    def begin(self) -> Any:
        return _jit(self.made.init)

    @cached_property
    def compiled(self) -> Any:
        return _jit(partial(_update, self.made))

    def step(self, state: Any, factor: Any = None, keys: Any = None) -> Any:
        """Return (state, metrics, incidents) after one step."""
        factor = self.plain if factor is None else factor
        found = self.compiled(state, self.keys if keys is None else keys, factor)
        return jax.tree.map(np.asarray, found)

    @cached_property
    def first(self) -> Any:
        return self.step(self.start)

    @property
    def maps(self) -> tuple[str, ...]:
        """Names of the maps that there are."""
        there = {"push": self.made.has_map, "pull": self.made.has_inverse}
        return tuple(name for name, has in there.items() if has)

    # -- checks -------------------------------------------------------------------------------

    def declares(self) -> str:
        needed = needs(self.kind)
        lacking = [part for part in needed if part not in self.settings]
        require(
            not lacking,
            f"`NEEDS` has {', '.join(lacking)}, of which no settings are given; name each in the "
            "config's entry, or give it by --settings",
        )
        return f"is made of {', '.join(needed) or 'its own settings alone'}"

    def networks(self) -> str:
        method = self.made
        require(method.dimension == N, f"`dimension` is {method.dimension!r}; expected {N}")
        found = method.networks
        require(
            isinstance(found, Mapping) and found, "`networks` has none; expected names and Networks"
        )
        for name, network in found.items():
            require(
                isinstance(network, Network),
                f"`networks[{name!r}]` is {extensions.described(network)}; expected a `Network`",
            )
        streams = [network.stream for network in found.values()]
        require(
            len(set(streams)) == len(streams),
            f"two networks draw from the same stream of {', '.join(streams)}; give each its own",
        )
        params = method.assemble(dict.fromkeys(found, 0))
        fields = getattr(params, "_fields", ())
        require(
            set(found) <= set(fields) and all(getattr(params, name) == 0 for name in found),
            f"`assemble` gives {extensions.described(params)} of {', '.join(fields) or 'nothing'}; "
            f"expected a named tuple with a field for each of {', '.join(found)}",
        )
        trained = [name for name, network in found.items() if network.map is not None]
        words = ", ".join(trained) or "none"
        return f"has {', '.join(found)}; pre-trained to the identity: {words}"

    def shapes(self) -> str:
        _check_state(self.start, "`init` gives a state")
        require(self.start.step == 0, f"`init` begins at step {self.start.step}; expected 0")
        require(
            (self.start.diverged_at == -1).all(),
            "`init` gives seeds that have diverged; expected -1 for each in `diverged_at`",
        )
        found = extensions.shapes(
            partial(_update, self.made),
            *(self.start, self.keys, self.plain),
            message="`update(state, batches)` does not work",
        )
        state, metrics, happened = found
        _same_shapes(state, self.start)
        fields = getattr(self.made.metrics, "_fields", ())
        require(fields, "`metrics` is no named tuple with fields; the loop sums each")
        require(
            isinstance(metrics, self.made.metrics),
            f"`update` gives metrics of {extensions.described(metrics)}; expected "
            f"`{self.made.metrics.__name__}`, which `metrics` names",
        )
        for name, value in zip(fields, metrics, strict=True):
            require(
                extensions.is_array(value, (SEEDS,)),
                f"the metric `{name}` is {extensions.described(value)}; expected floats of shape "
                "(seeds,), a mean over the batch for each",
            )
        require(
            happened is None or isinstance(happened, Incidents),
            f"`incidents` is {extensions.described(happened)}; expected `Incidents` or None",
        )
        for name in self.maps:
            image = extensions.shapes(
                getattr(self.made, name),
                *(self.params, self.x),
                message=f"`{name}(params, points)` does not work",
            )
            require(
                extensions.is_array(image, self.x.shape),
                f"`{name}` gives {extensions.described(image)} for points of shape (seeds, points, "
                f"n) = {self.x.shape}; expected floats of the same",
            )
        words = {2: "maps", 1: "map (no inverse)", 0: "no map"}
        maps = words[len(self.maps)]
        return f"state, {maps}, and the metrics {', '.join(fields)} of shape (seeds,)"

    def traced(self, made: Method[Any]) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return partial(_update, made), (self.start, self.keys, self.plain)

    def pretraining(self) -> str:
        maps = {name: n.map for name, n in self.made.networks.items() if n.map is not None}
        if not maps:
            return "no network is pre-trained"

        def off(trees: Any) -> Any:
            return {
                name: jnp.mean(jnp.sum((map_(trees[name], self.x[0]) - self.x[0]) ** 2, axis=-1))
                for name, map_ in maps.items()
            }

        @_jit
        def before_and_after(trees: Any) -> Any:
            slopes = {n: jax.grad(lambda t, n=n: off({**trees, n: t})[n])(trees[n]) for n in trees}
            moved = jax.tree.map(lambda leaf, slope: leaf - STEP * slope, trees, slopes)
            return off(trees), off(moved)

        first = {name: jax.tree.map(lambda a: a[0], getattr(self.params, name)) for name in maps}
        for name, map_ in maps.items():
            image = extensions.shapes(
                map_, first[name], self.x[0], message=f"the `map` of {name} does not work"
            )
            require(
                extensions.is_array(image, (POINTS, N)),
                f"the `map` of {name} gives {extensions.described(image)} for points of shape "
                f"(batch, n) = {(POINTS, N)} of one seed; expected the same",
            )
        before, after = before_and_after(first)
        for name in maps:
            # One that begins as the identity has nowhere to go.
            require(
                np.isfinite(after[name]) and (after[name] < before[name] or before[name] < 1e-6),
                f"a gradient step takes the `map` of {name} from {float(before[name]):.6g} to "
                f"{float(after[name]):.6g} off the identity; expected less, else it cannot be "
                "pre-trained",
            )
        return f"a gradient step brings {', '.join(maps)} closer to the identity"

    def learns(self) -> str:
        state, metrics, _ = self.first
        require(all_finite(self.params), "parameters are not finite when they are drawn")
        require(
            any(not np.array_equal(leaf[0], leaf[1]) for leaf in jax.tree.leaves(self.params)),
            "different keys give the same parameters, so that all seeds would be one",
        )
        require(state.step == 1, f"`update` leads from step 0 to {state.step}; expected 1")
        require(
            (state.diverged_at == -1).all(),
            "a seed has diverged at the first step, on points of a normal law",
        )
        require(all_finite(metrics), "metrics are not finite on finite points")
        # Another network may learn at another step.
        later = state
        for _ in range(2):
            later = self.step(later)[0]
        require(not same(later.params, self.params), "three steps change no parameter")
        require(all_finite(later.params), "three steps lead to parameters that are not finite")
        return "steps are counted, and change the parameters"

    def again(self) -> str:
        require(
            same(self.step(self.start), self.first),
            "the same state and points give other numbers when they are used again",
        )
        return "the same state and points give the same numbers"

    def seeds(self) -> str:
        def other(leaf: np.ndarray) -> np.ndarray:
            if leaf.ndim == 0 or leaf.dtype.kind != "f":
                return leaf
            return np.stack([leaf[0], 1.1 * leaf[1]])

        params = jax.tree.map(other, self.params)
        state = jax.tree.map(np.asarray, self.begin(params))
        found = self.step(state, keys=self.keys.at[1].set(jax.random.key(7)))
        for name, old, new in zip(("state", "metrics"), self.first, found, strict=False):
            pairs = zip(jax.tree.leaves(old), jax.tree.leaves(new), strict=True)
            require(
                all(_close(a[0], b[0]) for a, b in pairs if a.ndim and len(a) == SEEDS),
                f"the {name} of a seed changes with another seed's parameters and points",
            )
        return "a seed depends on no other"

    def diverged(self) -> str:
        bad = np.array([1.0, np.nan], np.float32)
        state, *_ = self.step(self.start, bad)
        require(
            all_finite(state.params),
            "points that are not finite lead to parameters that are not; `Divergence.settle` "
            "keeps the last ones that are",
        )
        require(
            state.diverged_at[0] == -1,
            "a seed diverges because another one does",
        )
        require(
            state.diverged_at[1] == 1,
            f"a step on points that are not finite leaves `diverged_at` at "
            f"{state.diverged_at[1]}; expected the step's number, 1",
        )
        later, *_ = self.step(state)
        require(
            later.diverged_at[1] == 1
            and same(*(jax.tree.map(lambda a: a[1], s.params) for s in (state, later))),
            "a seed that has diverged is trained again; expected that it keeps its parameters",
        )
        return "a seed that is no longer finite keeps its last parameters and is marked"

    def checkpoints(self) -> str:
        state = self.first[0]
        origin: dict[str, str | None] = dict.fromkeys(checkpoint.WORDS, "")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "step-000000001.safetensors"
            snapshot = checkpoint.Snapshot(state, [], Timing({}), Totals.start(SEEDS))
            checkpoint.write(path, origin, snapshot)
            found = checkpoint.read(path, origin, self.start).state
        require(type(found) is type(state), "a checkpoint gives another type of state")
        require(
            same(self.step(found), self.step(state)),
            "a step from a checkpoint gives other numbers than the step without one; what decides "
            "has to be in the state",
        )
        return "a step from a checkpoint gives the same numbers"

    def files(self) -> str:
        params = self.first[0].params
        found = self.made.assemble(files.unflatten(files.flatten(params)))
        require(
            jax.tree.structure(found) == jax.tree.structure(params) and same(found, params),
            "parameters that are written to a file and read again are others; expected nested "
            "mappings of arrays, with a slash in no name",
        )
        return "parameters can be written and read again"

    def points(self) -> str:
        other = np.where(np.arange(POINTS)[:, None] % 2 == 1, -self.x, self.x)
        for name in self.maps:
            image = _jit(getattr(self.made, name))
            found, changed = (np.asarray(image(self.params, x)) for x in (self.x, other))
            require(
                np.isfinite(found).all(), f"`{name}` gives points that are not finite before a step"
            )
            require(
                _close(found[:, ::2], changed[:, ::2]),
                f"`{name}` of a point changes with the other points of the batch",
            )
        if not self.maps:
            return "there is no map"
        return "maps of a point depend on no other point"

    def shares(self) -> str:
        def device(part: Any) -> Any:
            keys = jax.vmap(partial(jax.random.fold_in, data=part))(self.keys)
            return _update(self.made, self.start, keys, jnp.asarray(self.plain), AXIS)[:2]

        state, metrics = _jit(jax.vmap(device, axis_name=AXIS))(jnp.arange(2))
        for name, tree in (("states", state), ("metrics", metrics)):
            require(
                all(np.array_equal(leaf[0], leaf[1]) for leaf in jax.tree.leaves(tree)),
                f"devices that share a batch end with different {name}; gradients and metrics have "
                "to be averaged over the axis `over`, as by `jax.lax.pmean`",
            )
        return "devices that share a batch end with the same state"


def _update(
    method: Method[Any], state: Any, keys: Any, factor: Any, over: str | None = None
) -> tuple[Any, Any, Any]:
    state, metrics, happened = method.update(state, Drawn(keys, state.step, factor), over)
    return state, metrics, happened


def _check_state(state: Any, what: str) -> None:
    names = ("params", "step", "diverged_at")
    lacking = [name for name in names if not hasattr(state, name)]
    require(
        not lacking and hasattr(state, "_fields"),
        f"{what} of {extensions.described(state)} without {', '.join(lacking)}; expected a named "
        f"tuple with {', '.join(names)}",
    )
    for name, shape in (("step", ()), ("diverged_at", (SEEDS,))):
        value = getattr(state, name)
        require(
            extensions.is_array(value, shape, "i"),
            f"{what} whose `{name}` is {extensions.described(value)}; expected whole numbers of "
            f"shape {shape}",
        )


def _same_shapes(new: Any, old: Any) -> None:
    remedy = "expected that a state keeps its types and shapes, since steps run in one loop"
    require(
        jax.tree.structure(new) == jax.tree.structure(old),
        f"`update` gives a state of another structure than `init`; {remedy}",
    )
    for (path, leaf), before in zip(
        jax.tree_util.tree_leaves_with_path(new), jax.tree.leaves(old), strict=True
    ):
        require(
            (leaf.shape, leaf.dtype) == (before.shape, before.dtype),
            f"`update` changes `{jax.tree_util.keystr(path)}` from {extensions.described(before)} "
            f"to {extensions.described(leaf)}; {remedy}",
        )


def _close(left: np.ndarray, right: np.ndarray) -> bool:
    return np.allclose(left, right, rtol=ROUNDING, atol=ROUNDING, equal_nan=True)
