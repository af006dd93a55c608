"""The fused loop: many training steps of all seeds in one compiled program.

Sampling, the ground-truth push, the method's update and the sums of its metrics run on the device;
the host is touched once a call. What a seed draws depends on (seed, stream, step) alone, so neither
its neighbours nor the number of steps in a call move it.

A batch is drawn in `PARTS` parts with keys of their own. On a CPU with several cores each core is a
device of JAX's that works some of the parts: it draws, pushes and conjugates them alone, and then
the gradients of all are averaged. XLA's own threads gain nothing on arrays of this size. The parts
are the same however many cores work them; the order of summation, and so the last digit, is not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Array, Float, Key

from w2dual import backend, rng
from w2dual.training import health
from w2dual.training.health import Incidents
from w2dual.training.methods import Looped, Method

PARTS = 8
"""Parts that a batch is drawn in, where it has a multiple of so many points; else it is one."""
AXIS = "parts"
SHARED = (0,)
"""In place of the seeds, where all see the same points: those are drawn from a stream of their own,
whichever seeds are trained side by side."""


class Chunk(NamedTuple):
    """What is known of the steps of one call, besides the state they lead to.

    Attributes:
        means: of the method's metrics over the steps, each of shape (seeds,).
        incidents: over the steps.
    """

    means: Any
    incidents: Incidents


AnyState = Any
"""A `methods.State`."""
Loop = Callable[[AnyState, int], tuple[AnyState, Chunk]]


def shards(batch_size: int) -> int:
    """Return the number of devices that share a batch: on a CPU as many as divide its parts."""
    if jax.default_backend() != "cpu" or batch_size % PARTS:
        return 1
    return max(d for d in range(1, PARTS + 1) if PARTS % d == 0 and d <= jax.local_device_count())


def compile_loop(
    method: Method[Any],
    seeds: Sequence[int],
    batch_size: int,
    state: AnyState,
    pair: Any,
    shared: bool = False,
) -> Loop:
    """Compile the loop for a cell.

    Args:
        method: what is trained, and how.
        seeds: the seeds, in the order of the state's leading axis.
        batch_size: points per step of each measure.
        state: a state, or its shapes.
        pair: a `measures.Pair`; one whose batches are whole is drawn and worked in one piece.
        shared: whether all seeds see the same points, which are then drawn once; which they are
            depends on no seed.

    Returns:
        A function (state, steps) -> (state after so many more steps, what is known of them). It
        takes the state over: its arrays may not be used afterwards.
    """
    whole = pair.whole_batches
    count = 1 if whole else shards(batch_size)
    run = _chunk(method, seeds, batch_size, count, shared, whole)
    jit = partial(backend.jit, donate_argnums=0, graphs=not method.calls_host)
    if count == 1:
        compiled = jit(run).lower(state, pair, jnp.int32(1)).compile()
        return lambda state, steps: compiled(state, pair, jnp.int32(steps))

    mesh = jax.make_mesh((count,), (AXIS,), devices=jax.local_devices()[:count])
    everywhere = NamedSharding(mesh, PartitionSpec())
    replicated = PartitionSpec()
    sharded = jax.shard_map(
        run,
        mesh=mesh,
        in_specs=(replicated, replicated, replicated),
        out_specs=replicated,
        check_vma=False,  # all devices end with the same state, since they average gradients
    )
    copies = jax.device_put(pair, everywhere)
    shapes = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=everywhere), state
    )
    example = (shapes, copies, jax.device_put(jnp.int32(1), everywhere))
    compiled = jit(sharded).lower(*example).compile()

    def loop(state: AnyState, steps: int) -> tuple[AnyState, Chunk]:
        placed = jax.device_put((state, jnp.int32(steps)), everywhere)
        results = compiled(placed[0], copies, placed[1])
        return jax.tree.map(lambda leaf: leaf.addressable_data(0), results)

    return loop


def _chunk(
    method: Method[Any],
    seeds: Sequence[int],
    batch_size: int,
    count: int,
    shared: bool = False,
    whole: bool = False,
) -> Callable[[AnyState, Any, Array], tuple[AnyState, Chunk]]:
    """Return the loop (state, pair, steps) -> (state, chunk), as one of `count` devices runs it."""
    parts = PARTS if batch_size % PARTS == 0 and not whole else 1
    source, target, more_source, more_target = (
        streams(SHARED if shared else seeds, f"shared {name}" if shared else name)
        for name in ("source", "target", "more source", "more target")
    )
    few = backend.few_launches()
    over = AXIS if count > 1 else None
    cpu = jax.default_backend() == "cpu"

    def draw(
        sample: Callable[[Key[Array, ""], int], Float[Array, "size n"]],
        keys: Key[Array, " seeds"],
        step: Array,
    ) -> Float[Array, "seeds batch n"]:
        """Sample this device's parts of the batch."""
        mine = parts // count
        first = jax.lax.axis_index(AXIS) * mine if count > 1 else 0

        def part(key: Key[Array, ""], index: Array) -> Float[Array, "size n"]:
            return sample(rng.at(rng.at(key, step), first + index), batch_size // parts)

        def whole(key: Key[Array, ""]) -> Float[Array, "batch n"]:
            indices = jnp.arange(mine)
            # One after another on a CPU, where a part fits the cache; all at once on a GPU.
            points = (
                jax.lax.map(lambda index: part(key, index), indices)
                if cpu
                else jax.vmap(lambda index: part(key, index))(indices)
            )
            return points.reshape(-1, points.shape[-1])

        return jax.vmap(whole)(keys)

    @dataclass(frozen=True)
    class Drawn:
        """Points of one step (`methods.Batches`)."""

        pair: Any
        step: Array

        def source(self, index: int | Array = 0) -> Float[Array, "seeds batch n"]:
            return self._batch(self.pair.sample_source, source, more_source, index)

        def target(self, index: int | Array = 0) -> Float[Array, "seeds batch n"]:
            return self._batch(self.pair.sample_target, target, more_target, index)

        def truth(self, x: Float[Array, "seeds batch n"]) -> Float[Array, "seeds batch n"]:
            return self.pair.ground_truth(x)

        def more_keys(self) -> Key[Array, "seeds parts"]:
            mine = parts // count
            first = jax.lax.axis_index(AXIS) * mine if count > 1 else 0

            def of_seed(key: Key[Array, ""]) -> Key[Array, " parts"]:
                return jax.vmap(lambda i: rng.at(rng.at(key, self.step), first + i))(
                    jnp.arange(mine)
                )

            return jax.vmap(of_seed)(streams(seeds, "method"))

        @cached_property
        def both(self) -> tuple[Float[Array, "seeds batch n"], Float[Array, "seeds batch n"]]:
            """The first batches of both measures, drawn together."""

            def of_part(key: Key[Array, ""], index: Array) -> Key[Array, ""]:
                return rng.at(rng.at(key, self.step), index)

            of_parts = jax.vmap(of_part, (None, 0))
            of_seeds = jax.vmap(of_parts, (0, None))
            keys = jax.vmap(of_seeds, (0, None))(jnp.stack([source, target]), jnp.arange(parts))
            both = self.pair.sample_both(keys, batch_size // parts)
            x, y = (item.reshape(len(source), batch_size, -1) for item in both)
            return x, y

        def _batch(
            self, sample: Any, first: Array, more: Array, index: int | Array
        ) -> Float[Array, "seeds batch n"]:
            if isinstance(index, int) and index == 0:
                if few:
                    return _of_each(self.both[0 if first is source else 1], len(seeds))
                return _of_each(draw(sample, first, self.step), len(seeds))
            keys = jax.vmap(rng.at, (0, None))(more, self.step)
            return _of_each(draw(sample, keys, jnp.asarray(index)), len(seeds))

    def step(
        looped: Looped, pair: Any, carry: tuple[Any, Any, Incidents]
    ) -> tuple[Any, Any, Incidents]:
        state, sums, happened = carry
        drawn = Drawn(pair, state.step)
        if few:
            drawn.both  # noqa: B018 # here, since what a branch draws first is not another's
        with backend.products():
            state, metrics, new = looped.update(state, drawn, over)
        happened = happened if new is None else health.added(happened, new)
        return state, jax.tree.map(jnp.add, sums, metrics), happened

    def run(state: AnyState, pair: Any, steps: Array) -> tuple[AnyState, Chunk]:
        zeros = method.metrics(*(jnp.zeros(len(seeds)) for _ in method.metrics._fields))
        looped, pair = method.in_loop(state), pair.in_loop()
        start = (looped.enter(state), zeros, health.none_yet(len(seeds)))
        state, sums, happened = jax.lax.fori_loop(
            0, steps, lambda _, carry: step(looped, pair, carry), start
        )
        state = looped.leave(state)
        if over is not None:  # each device knows the points that it has conjugated itself
            happened = happened._replace(
                statuses=jax.lax.psum(happened.statuses, over),
                worst_residual=jax.lax.pmax(happened.worst_residual, over),
            )
        return state, Chunk(jax.tree.map(lambda total: total / steps, sums), happened)

    return run


def _of_each(points: Float[Array, "drawn batch n"], seeds: int) -> Float[Array, "seeds batch n"]:
    """Return the points of each seed; those that were drawn once are the same for all."""
    return jnp.broadcast_to(points, (seeds, *points.shape[1:]))


def streams(seeds: Sequence[int], name: str) -> Key[Array, " seeds"]:
    """Return the keys of the stream `name` of each seed."""
    return jnp.stack([rng.stream(seed, name) for seed in seeds])
