"""A pair of images made here: the losses, convexity, drawn generators, and a short run."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from w2dual.measures import potential_training
from w2dual.measures.celeba64 import generated, generator, icnn_conv
from w2dual.measures.celeba64.generated import Budget
from w2dual.records import InputError

BUDGET = Budget(
    size=16,
    latent=8,
    filters=4,
    max_filters=8,
    widths=(4, 4, 4, 4),
    pool=64,
    iterations=4,
    batch_size=4,
    learning_rate=3e-4,
    cycle_weight=1e4,
    pretraining_iterations=20,
    pretraining_learning_rate=2e-2,
    seed=0,
)


def potential(seed: int) -> icnn_conv.ConvICNN:
    return icnn_conv.convexify(icnn_conv.init(jax.random.key(seed), 16, BUDGET.widths, std=0.05))


def test_losses_equal_the_formula_point_by_point():
    d, d_conj = potential(1), potential(2)
    x, y = jax.random.normal(jax.random.key(0), (2, 3, 768))
    move = jax.jit(lambda weights, point: icnn_conv.push(weights, 0.01, point[None])[0])
    value = jax.jit(lambda weights, point: icnn_conv.values(weights, 0.01, point[None])[0])
    duals, cycles = [], []
    for a, b in zip(x, y, strict=True):
        xi = move(d_conj, b)
        duals.append(float(value(d, a)) - float(value(d, xi)))
        cycles.append(np.mean(np.square(move(d, xi) - b)))
        cycles.append(np.mean(np.square(move(d_conj, move(d, a)) - a)))
    dual, cycle = jax.jit(generated.dual_and_cycle_losses)(d, d_conj, x, y)
    np.testing.assert_allclose(dual, np.mean(duals), rtol=1e-3)
    np.testing.assert_allclose(cycle, np.sum(cycles) / len(duals), rtol=1e-4)


def test_a_drawn_generator_makes_images_that_use_the_range_and_differ():
    """Normalised by one batch, whatever the depth: neither saturated nor gray, and pairs differ."""
    source = generated.draw_source(BUDGET)
    latent = jax.random.normal(jax.random.key(3), (256, 8))
    images = np.asarray(jax.jit(generator.images)(source, latent))
    assert 0.1 < images.std() < 0.9
    assert images.std(axis=0).mean() > 0.1
    same = generated.draw_source(BUDGET)
    jax.tree.map(np.testing.assert_array_equal, same, source)


@pytest.fixture(scope="module")
def trained() -> generated.Trained:
    return generated.train("early", generated.draw_source(BUDGET), 0.01, BUDGET)


def test_a_short_run_keeps_both_potentials_convex(trained):
    for weights in trained.potentials:
        clamped = [*weights.convex, weights.final]
        assert min(leaf.min() for leaf in clamped) >= 0.0
        # Not by being driven away from zero: some were clamped, at the start or later.
        assert np.mean(np.concatenate([leaf.ravel() for leaf in clamped]) < 1e-6) > 0.01
        assert weights.linear[0].min() < 0.0  # what need not be positive is not clamped
    first, second = trained.potentials
    assert not np.array_equal(first.final, second.final)


def test_a_short_run_comes_nearer_to_what_it_fits(trained):
    # The uniform law on [-2, 2] has 4/3 a coordinate.
    assert max(trained.identity_mse) < 0.9 * 4 / 3
    assert all(np.isfinite(trained.cycle_mse))


def test_a_training_that_diverged_is_an_error():
    broken = potential(1)._replace(final_bias=jnp.full(1, jnp.nan))
    with pytest.raises(InputError, match=r"early, v1: its training diverged.*learning_rate"):
        potential_training.check_finite(broken, "generated pair early, v1", generated.SECTION)
