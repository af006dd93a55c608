"""The loss as published, number by number; which pairs count; and what predictions begin as."""

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from w2dual.measures.linear import bures_matrix
from w2dual.potentials.quadratic_icnn import SLOPE, QuadraticICNN
from w2dual.records import InputError
from w2dual.training import methods
from w2dual.training.methods import Given
from w2dual.training.methods.meta_w2gn import (
    Hyper,
    Instances,
    MetaW2GN,
    gaussian_parameters,
    pair_loss,
)

SMALL = QuadraticICNN(width=4)
POINTS, CELLS = 6, 8
DIMENSION = 2 + CELLS + 3 * POINTS
OWN = {"kind": "meta_w2gn", "encoder": "histogram", "points": POINTS, "cycle_weight": 3.0}
OWN |= {"l2": 1e-6, "warmup": 2, "clip": 1.0, "residual": "none"}
TRAINING = {"batch_size": 4, "iterations": 10, "learning_rate": 1e-3, "b1": 0.9, "b2": 0.999}
TRAINING |= {"final_learning_rate_factor": 0.0, "weight_decay": 0.0}
TRAINING |= {"divergence_loss": 1e5, "divergence_every": 1000}


def method(dimension: int = DIMENSION, **changes: object) -> MetaW2GN:
    made = methods.make({"method": OWN | changes, "training": TRAINING}, dimension)
    assert isinstance(made, MetaW2GN)
    return made


def params_of(made: MetaW2GN, seeds: int = 1) -> Hyper:
    zeros = jnp.zeros((seeds, 1, made.dimension))

    @jax.jit
    def draw() -> Hyper:
        keys = jax.vmap(jax.random.key)(jnp.arange(seeds))
        return made.assemble({k: jax.vmap(n.init)(keys, zeros) for k, n in made.networks.items()})

    return draw()


def drawn(seed: int, numbers: list[float], forbidden: list[float]) -> jnp.ndarray:
    """Points of images, without the axis of seeds."""
    generator = np.random.default_rng(seed)
    cells = generator.dirichlet(np.ones(CELLS), len(numbers))
    colours = generator.uniform(size=(len(numbers), 3 * POINTS))
    head = np.stack([numbers, forbidden], axis=-1)
    return jnp.asarray(np.concatenate([head, cells, colours], axis=-1), jnp.float32)


def gradient_by_loops(vector: np.ndarray, x: np.ndarray) -> tuple[float, np.ndarray]:
    p = SMALL.parts(jnp.asarray(vector, jnp.float32))
    total, slope_sum = 0.0, np.zeros(3)
    for row, bias, outer in zip(p.weights, p.bias, p.outer, strict=True):
        before = float(np.dot(np.asarray(row, float), x) + float(bias))
        slope = math.log1p(math.exp(float(outer))) * (1.0 if before > 0 else SLOPE)
        total += slope * before
        slope_sum += slope * np.asarray(row, float)
    scaled = np.asarray(p.factor, float) @ x
    value = total + np.dot(np.asarray(p.linear, float), x) + float(p.constant) + scaled @ scaled
    return value, slope_sum + np.asarray(p.linear) + 2 * np.asarray(p.factor, float).T @ scaled


def test_the_loss_is_the_published_one():
    """Point by point: the dual, three times the cycles averaged over coordinates too, and sizes."""
    generator = np.random.default_rng(0)
    psi, psi_bar = generator.normal(0, 0.5, (2, SMALL.parameters))
    x, y = generator.uniform(size=(2, 5, 3))
    dual = there = back = 0.0
    for a, b in zip(x, y, strict=True):
        guess = gradient_by_loops(psi_bar, b)[1]
        value, moved = gradient_by_loops(psi, a)
        at_guess, slope = gradient_by_loops(psi, guess)
        dual += (value + guess @ b - at_guess) / 5
        there += np.sum((slope - b) ** 2) / 15
        back += np.sum((gradient_by_loops(psi_bar, moved)[1] - a) ** 2) / 15
    sizes = np.mean(psi**2) + np.mean(psi_bar**2)
    arrays = [jnp.asarray(array, jnp.float32) for array in (psi, psi_bar, x, y)]
    found = jax.jit(partial(pair_loss, SMALL, cycle_weight=3.0, l2=0.25))(*arrays)
    assert found.dual == pytest.approx(dual, rel=1e-4)
    assert found.cycle == pytest.approx(3 * (there + back), rel=1e-4)
    assert found.loss == pytest.approx(dual + 3 * (there + back) + 0.25 * sizes, rel=1e-4)


def test_the_dual_s_slope_holds_the_guess_fixed():
    """psi_bar is moved by the cycles alone, and psi by the dual as if x_hat were given."""
    generator = np.random.default_rng(1)
    both = jnp.asarray(generator.normal(0, 0.5, (2, SMALL.parameters)), jnp.float32)
    x, y = jnp.asarray(generator.uniform(size=(2, 5, 3)), jnp.float32)
    guess = jax.jit(SMALL.gradient)(both[1], y)

    def held(psi: jnp.ndarray) -> jnp.ndarray:
        return jnp.mean(SMALL.value(psi, x)) - jnp.mean(SMALL.value(psi, guess))

    def dual(both: jnp.ndarray) -> jnp.ndarray:
        return pair_loss(SMALL, both[0], both[1], x, y, 3.0, 0.0).dual

    slopes = jax.jit(jax.grad(dual))(both)
    wanted = jax.jit(jax.grad(held))(both[0])
    np.testing.assert_allclose(slopes[0], wanted, rtol=1e-4, atol=1e-6)
    assert not slopes[1].any()


def test_pairs_that_are_held_out_or_of_one_image_have_no_weight():
    """The loss is that of the admitted pairs alone, each of the same weight."""
    made = method()
    params = params_of(made)
    one = jax.tree.map(lambda leaf: leaf[0], params)
    source = drawn(2, [0, 1, 2, 3], [3, -1, 5, 1])
    target = drawn(3, [3, 2, 2, 4], [-1, -1, -1, -1])  # held out; fine; the same image; fine

    @jax.jit
    def of(source: jnp.ndarray, target: jnp.ndarray) -> jnp.ndarray:
        return made._loss(None, one.network, one.statistics, source, target)[0]

    def loss(*pick: int) -> float:
        rows = np.array(pick)
        return float(of(source[rows], target[rows]))

    assert loss(0, 1, 2, 3) == pytest.approx(loss(1, 1, 3, 3), rel=1e-5)
    assert loss(1, 1, 3, 3) == pytest.approx((loss(1, 1, 1, 1) + loss(3, 3, 3, 3)) / 2, rel=1e-5)
    assert loss(0, 2, 0, 2) == 0.0


@pytest.mark.long
def test_a_step_moves_each_seed_and_counts():
    made = method()
    state = jax.jit(made.init)(params_of(made, seeds=2))
    x = jnp.stack([drawn(4, [0, 1, 2, 3], [-1] * 4)] * 2)
    y = jnp.stack([drawn(5, [4, 5, 6, 7], [-1] * 4)] * 2)
    step = jax.jit(lambda state: made.update(state, Given(x, y)))
    first, second = step(state), step(step(state).state)
    assert int(second.state.step) == 2
    assert (second.state.diverged_at == -1).all()
    kernel = [np.asarray(jax.tree.leaves(s.params.network)[-1]) for s in (state, second.state)]
    assert (kernel[0] != kernel[1]).any(axis=(1, 2)).all()
    assert np.isfinite(first.metrics.loss).all()


def test_the_gaussian_map_is_the_closed_form():
    generator = np.random.default_rng(6)
    x = generator.uniform(size=(40, 3))
    y = 0.2 + generator.uniform(size=(40, 3)) @ generator.uniform(size=(3, 3)) / 3
    covs = [np.cov(end.T, bias=True) + 1e-6 * np.eye(3) for end in (x, y)]
    matrix = bures_matrix(*covs)
    wanted = (x - x.mean(axis=0)) @ matrix + y.mean(axis=0)
    ends = [jnp.asarray(end, jnp.float32) for end in (x, y)]

    @jax.jit
    def there_and_back() -> tuple[jnp.ndarray, jnp.ndarray]:
        psi, psi_bar = gaussian_parameters(SMALL, *ends)
        moved = SMALL.gradient(psi, ends[0])
        return moved, SMALL.gradient(psi_bar, moved)

    moved, back = there_and_back()
    np.testing.assert_allclose(moved, wanted, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(back, x, rtol=2e-3, atol=2e-3)


def test_a_residual_begins_near_the_gaussian_map():
    made = method(residual="gaussian")
    assert made.networks["network"].map is None  # nothing to pre-train
    one = jax.tree.map(lambda leaf: leaf[0], params_of(made))
    ends = [Instances.of(drawn(seed, [0, 1], [-1, -1]), POINTS) for seed in (7, 8)]

    @jax.jit
    def both() -> list[jnp.ndarray]:
        psi, _ = made.predict(one, *ends)
        known, _ = gaussian_parameters(made.icnn, ends[0].colours, ends[1].colours)
        return [made.icnn.gradient(vector, ends[0].colours) for vector in (psi, known)]

    moved, wanted = both()
    np.testing.assert_allclose(moved, wanted, atol=0.1)


@pytest.mark.long
def test_pre_training_s_error_is_that_of_the_two_predicted_maps():
    """Zero where both are the identity; else the mean squared error over colours."""
    made = method()
    one = jax.tree.map(lambda leaf: leaf[0], params_of(made)).network
    identity = made.icnn.affine(jnp.eye(3), jnp.zeros(3))
    shifted = made.icnn.affine(jnp.eye(3), jnp.array([0.5, 0.0, 0.0]))
    constant = jax.tree.map(jnp.zeros_like, one)
    points = jax.random.uniform(jax.random.key(0), (4, DIMENSION), minval=-1.0)
    moved = jax.jit(made._map)
    for second, wanted in ((identity, 0.0), (shifted, 0.125)):
        bias = jnp.concatenate([identity, second])
        network = {**constant, "Dense_1": {**constant["Dense_1"], "bias": bias}}
        error = jnp.sum((moved(network, points) - points) ** 2, axis=-1)
        assert float(jnp.mean(error)) == pytest.approx(wanted, abs=1e-4)


@pytest.mark.long
def test_the_published_encoder_keeps_statistics_that_are_no_network_of_the_optimiser():
    """By shapes alone: ResNet-18 takes long to compile."""
    made = method(2 + 3 * 32**2 + 3 * POINTS, encoder="resnet18")
    assert set(made.networks) == {"network", "statistics"}
    params = jax.eval_shape(lambda: params_of(made))
    size = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params.network))
    # ResNet-18 without its classifier 11,176,512; then 512 -> 256, 512 -> 512, 512 -> 1306.
    assert size == 11_176_512 + 513 * 256 + 513 * 512 + 513 * 1306
    points = jax.ShapeDtypeStruct((1, 4, made.dimension), jnp.float32)
    state = jax.eval_shape(lambda params: made.init(params), params)
    after = jax.eval_shape(lambda state, x: made.update(state, Given(x, x)).state, state, points)
    assert jax.tree.map(lambda leaf: leaf.shape, after) == jax.tree.map(
        lambda leaf: leaf.shape, state
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"encoder": "resnet"}, "encoder 'resnet': unknown; expected one of histogram, resnet18"),
        ({"residual": "some"}, "expected `none` or `gaussian`"),
        ({"points": 900}, "too few for 900 colours"),
        ({"warm": 3}, "unknown key `warm`"),
    ],
)
def test_settings_that_do_not_fit_are_refused(changes: dict[str, Any], said: str):
    with pytest.raises(InputError, match=said):
        method(**changes)
