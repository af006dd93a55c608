"""A pair trained anew: the losses, convexity, and a short run end to end."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.unit import settings as given

from w2dual import measures
from w2dual.measures import potential_training, preparation
from w2dual.measures.benchmark import generated, icnn_dense, weights
from w2dual.measures.benchmark.generated import Budget
from w2dual.records import InputError, load_arrays


@pytest.fixture(autouse=True)
def _no_mirror(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("W2BENCHMARK_MIRROR", raising=False)
    monkeypatch.setenv("no_proxy", "*")


SHORT = given.benchmark(sources=["generated"], published_dimensions=[2, 4])


def potential(seed: int, n: int = 3) -> icnn_dense.DenseICNN:
    return icnn_dense.convexify(icnn_dense.init(jax.random.key(seed), n, 0.2))


def losses(d: icnn_dense.DenseICNN, d_conj: icnn_dense.DenseICNN, mu: float, x: Any, y: Any) -> Any:
    return generated.dual_and_cycle_losses(
        lambda points: icnn_dense.values(d, mu, points),
        lambda points: icnn_dense.push(d, mu, points),
        lambda points: icnn_dense.push(d_conj, mu, points),
        x,
        y,
    )


def test_losses_equal_the_formula_point_by_point():
    d, d_conj = potential(1), potential(2)
    x, y = jax.random.normal(jax.random.key(0), (2, 8, 3))

    def value(weights: icnn_dense.DenseICNN, point: jax.Array) -> jax.Array:
        return icnn_dense.values(weights, 0.1, point[None])[0]

    move = jax.jit(jax.grad(value, argnums=1))
    duals, cycles = [], []
    for a, b in zip(np.asarray(x), np.asarray(y), strict=True):
        xi = move(d_conj, b)
        duals.append(float(value(d, a)) - float(value(d, xi)))
        cycles.append(np.mean(np.square(move(d, xi) - b)))
        cycles.append(np.mean(np.square(move(d_conj, move(d, a)) - a)))
    dual, cycle = jax.jit(losses)(d, d_conj, 0.1, x, y)
    np.testing.assert_allclose(dual, np.mean(duals), rtol=1e-4)
    np.testing.assert_allclose(cycle, np.sum(cycles) / len(duals), rtol=1e-4)


def test_the_dual_term_does_not_move_the_conjugates_model():
    x, y = jax.random.normal(jax.random.key(0), (2, 16, 3))
    dual = jax.jit(jax.grad(lambda c: losses(potential(1), c, 0.1, x, y)[0]))
    moved = dual(potential(2))
    assert all(not np.any(leaf) for leaf in jax.tree.leaves(moved))


def test_identity_potentials_close_the_cycle():
    """With all weights 0 and mu = 1 the potential is |x|^2 / 2, its own conjugate."""
    zero = jax.tree.map(jnp.zeros_like, potential(1))
    x, y = jax.random.normal(jax.random.key(0), (2, 16, 3))
    dual, cycle = losses(zero, zero, 1.0, x, y)
    np.testing.assert_allclose(cycle, 0.0, atol=1e-12)
    np.testing.assert_allclose(dual, 0.5 * np.mean(np.sum(x**2 - y**2, axis=1)), rtol=1e-5)


def test_identity_fit_stops_at_its_budget_and_at_its_tolerance():
    budget = Budget(1, 64, 1e-3, 60, 1.0, 0)
    fit = jax.jit(lambda weights: generated.fit_identity(weights, jax.random.key(1), budget))
    exact = jax.tree.map(jnp.zeros_like, potential(1, 2))  # with mu = 1, the identity itself
    kept, error = fit(exact)
    np.testing.assert_allclose(error, 0.0, atol=1e-10)
    assert all(not np.any(leaf) for leaf in jax.tree.leaves(kept))
    start = potential(1, 2)
    fitted, error = fit(start)
    assert float(error) > potential_training.IDENTITY_TOLERANCE  # 60 steps do not get there
    points = 3.0 * jax.random.normal(jax.random.key(5), (512, 2))
    distance = jax.jit(lambda w: jnp.mean((icnn_dense.push(w, 1.0, points) - points) ** 2))
    assert float(distance(fitted)) < 0.7 * float(distance(start))


@pytest.fixture(scope="module")
def short_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short training at a dimension that nobody publishes, by the job itself."""
    out = tmp_path_factory.mktemp("generated") / "hd3.safetensors"
    preparation.prepare("hd3", SHORT, out)
    return out


def test_weights_that_must_not_be_negative_are_not(short_run: Path):
    arrays, _ = load_arrays(short_run)
    for version in ("v1", "v2"):
        clamped = [arrays[f"{version}.{name}"] for name in ("convex.0", "convex.1", "final")]
        assert min(leaf.min() for leaf in clamped) == 0.0
        # Not by being driven away from zero: some are held there.
        assert np.mean(np.concatenate([leaf.ravel() for leaf in clamped]) == 0.0) > 0.01
        # What need not be positive is not clamped.
        assert arrays[f"{version}.linear.1"].min() < 0.0
    assert not np.array_equal(arrays["v1.final"], arrays["v2.final"])


def test_the_prepared_pair_is_a_monotone_map_with_a_standardised_target(short_run: Path):
    pair = measures.load_solved(short_run)
    x, y = jax.jit(lambda p, k: (p.sample_source(k, 512), p.sample_target(k, 512)))(
        pair, jax.random.key(0)
    )
    first, second = (np.asarray(item, np.float64) for item in (x, y))
    difference = first[:256] - first[256:]
    assert np.all(np.sum(difference * (second[:256] - second[256:]), axis=1) > 0.0)
    np.testing.assert_allclose(np.trace(pair.moments.cov_target), 3.0, rtol=1e-5)


def test_the_file_records_the_budget_and_what_it_reached(short_run: Path):
    _, metadata = load_arrays(short_run)
    assert metadata["source"] == "generated"
    assert metadata["files"] == {}
    recorded = metadata["generated"]
    assert {key: recorded[key] for key in SHORT["generated"]} == SHORT["generated"]
    for reached in (recorded["identity_mse"], recorded["cycle_mse"]):
        assert set(reached) == {"v1", "v2"}
        assert all(np.isfinite(list(reached.values())))
    # Far below N(0, 9 I)'s own size already after 60 steps.
    assert max(recorded["identity_mse"].values()) < 9.0


def test_a_training_that_diverged_is_an_error():
    broken = potential(1)._replace(final=jnp.full((1, 32), jnp.nan))
    with pytest.raises(InputError, match=r"n=2, v1: its training diverged.*learning_rate"):
        potential_training.check_finite(broken, "generated pair, n=2, v1", generated.SECTION)
    potential_training.check_finite(potential(1), "generated pair, n=2, v1", generated.SECTION)


def test_generated_serves_where_mirror_and_network_are_missing(
    settings: dict[str, Any],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
):
    asked = []

    def trained(dimension: int, budget: Budget) -> generated.Generated:
        asked.append((dimension, budget))
        return generated.Generated([potential(1, 2), potential(2, 2)], [0.1, 0.2], [0.3, 0.4])

    monkeypatch.setattr(weights, "train", trained)
    settings["sources"] = ["mirror", "download", "generated"]
    preparation.prepare("hd2", settings, tmp_path / "hd2.safetensors")
    assert asked == [(2, Budget(**settings["generated"]))]
    assert "no weights from mirror" in caplog.text
    assert "no weights from download" in caplog.text
    assert "it will not be the published one" in caplog.text
    metadata = load_arrays(tmp_path / "hd2.safetensors")[1]
    assert metadata["source"] == "generated"
    assert metadata["generated"]["cycle_mse"] == {"v1": 0.3, "v2": 0.4}
