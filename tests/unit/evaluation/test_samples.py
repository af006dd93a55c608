"""Maps between point sets: distances against brute force, and evaluation of maps in closed form."""

import itertools
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.unit import settings

from w2dual.conjugate import Status
from w2dual.evaluation import samples as transport_metrics
from w2dual.evaluation.samples import TransportEvaluation, assignment, evaluator, sinkhorn
from w2dual.measures import Pair
from w2dual.measures.pairs.synthetic import SyntheticPair
from w2dual.measures.synthetic.laws import Gaussians
from w2dual.training.loop import streams
from w2dual.training.methods.dual import DualProblem, Networks
from w2dual.training.methods.dual import make as make_problem

EPSILON = 0.05
SIZE = 40
"""Points of a set, and of two seeds, wherever it does not matter: one program serves them all."""


def points(count: int, seed: int, seeds: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(seeds, count, 2)).astype(np.float32)


def squares(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Squared distances of all points of one set to all of another."""
    return np.sum((a[:, None].astype(np.float64) - b[None]) ** 2, axis=-1)


def best_pairing(a: np.ndarray, b: np.ndarray) -> float:
    """The least mean squared distance over all pairings."""
    cost, rows = squares(a, b), np.arange(len(a))
    return min(cost[rows, list(p)].mean() for p in itertools.permutations(range(len(a))))


# ---------------------------------------------------------------- the assignment


def test_assignment_is_the_best_of_all_pairings():
    a, b = points(5, 0, seeds=4), 2 * points(5, 1, seeds=4) + 1
    expected = [best_pairing(*pair) for pair in zip(a, b, strict=True)]
    np.testing.assert_allclose(assignment(jnp.asarray(a), jnp.asarray(b)), expected, rtol=1e-12)


def test_equal_sets_are_at_no_distance():
    a = points(20, 0, seeds=2)
    np.testing.assert_array_equal(assignment(jnp.asarray(a), jnp.asarray(a[:, ::-1])), [0.0, 0.0])


def test_a_rotation_costs_what_no_optimal_map_would():
    """A hexagon turned by 60 degrees: each point moves by 1, and the set stays where it is."""
    angle = np.pi / 3 * np.arange(6)
    hexagon = jnp.asarray(np.stack([np.cos(angle), np.sin(angle)], axis=1)[None])
    turned = jnp.roll(hexagon, -1, axis=1)
    cost = float(jnp.mean(jnp.sum((turned - hexagon) ** 2, axis=2)))
    assert cost == pytest.approx(1.0, abs=1e-6)
    assert assignment(hexagon, turned) == pytest.approx(0.0, abs=1e-12)


def test_gradients_of_convex_functions_pair_points_as_the_assignment_does():
    x = points(60, 3)[0].astype(np.float64)
    convex = np.array([[2.0, 0.7], [0.7, 0.5]])
    turn = np.array([[0.0, -1.0], [1.0, 0.0]])
    for matrix, is_optimal in ((convex, True), (turn, False), (-convex, False)):
        moved = x @ matrix.T
        cost = np.mean(np.sum((moved - x) ** 2, axis=1))
        best = assignment(jnp.asarray(x[None]), jnp.asarray(moved[None]))[0]
        if is_optimal:
            assert best == pytest.approx(cost, rel=1e-6)  # float32 sets
        else:
            assert best < 0.9 * cost


# ---------------------------------------------------------------- Sinkhorn


def solve(a: np.ndarray, b: np.ndarray, other: np.ndarray, epsilon: float) -> np.ndarray:
    return np.asarray(sinkhorn(jnp.asarray(a), jnp.asarray(b), jnp.asarray(other), epsilon))


def test_sinkhorn_is_above_the_assignment_by_what_the_regularisation_allows():
    """0 <= cost - W2 <= epsilon log(n), since couplings have entropies between log n and 2 log n.

    OTT-JAX stops where the marginals are off by 1e-3 in total.
    """
    a, b, other = (points(SIZE, seed, seeds=2) for seed in (0, 1, 2))
    b = 1.5 * b + 1
    least = assignment(jnp.asarray(a), jnp.asarray(b))
    scale = np.array([squares(*pair).mean() for pair in zip(other, b, strict=True)])
    most = np.array([squares(*pair).max() for pair in zip(a, b, strict=True)])
    gaps = []
    for epsilon in (0.5, 0.05, 0.005):
        gap = solve(a, b, other, epsilon) - least
        assert (gap >= -1e-3 * most).all()
        assert (gap <= epsilon * scale * np.log(SIZE) + 1e-3 * most).all()
        gaps.append(gap)
    assert (gaps[0] > gaps[1]).all()
    assert (gaps[1] > gaps[2]).all()
    assert (gaps[2] < 0.02 * least).all()


def test_much_regularisation_pairs_everything_with_everything():
    a, b = points(SIZE, 0, seeds=2), points(SIZE, 1, seeds=2) - 1
    expected = [squares(*pair).mean() for pair in zip(a, b, strict=True)]
    np.testing.assert_allclose(solve(a, b, b, 1e4), expected, rtol=1e-3)


def test_regularisation_is_relative_to_the_set_that_is_aimed_at():
    a, b, other = (np.repeat(points(SIZE, seed), 2, axis=0) for seed in (0, 1, 2))
    b, other = 3 * b, 3 * other
    small = solve(a, b, other, EPSILON)
    np.testing.assert_allclose(solve(10 * a, 10 * b, 10 * other, EPSILON), 100 * small, rtol=1e-3)
    # Twice the set's distances within: four times the regularisation.
    more = solve(a, b, 2 * b - other, EPSILON)
    factor = squares(2 * b[0] - other[0], b[0]).mean() / squares(other[0], b[0]).mean()
    np.testing.assert_allclose(more, solve(a, b, other, EPSILON * factor), rtol=1e-3)


def test_a_seed_that_is_not_finite_has_no_distance_and_moves_no_other():
    a, b = points(10, 0, seeds=3), points(10, 1, seeds=3)
    clean = assignment(jnp.asarray(a), jnp.asarray(b)), solve(a, b, b, EPSILON)
    a[1, 4, 0], b[2, 0, 1] = np.inf, np.nan
    broken = assignment(jnp.asarray(a), jnp.asarray(b)), solve(a, b, b, EPSILON)
    for before, after in zip(clean, broken, strict=True):
        np.testing.assert_allclose(after[0], before[0], rtol=1e-6)
        assert np.isfinite(before).all()
        assert not np.isfinite(after[1:]).any()


# ---------------------------------------------------------------- maps in closed form


def quadratic() -> DualProblem:
    """Potentials f(x) = <w, x> + c/2 ||x||^2, whose conjugate is ||y - w||^2 / (2 c)."""
    return make_problem(
        {
            # The slope 1 makes the activation the identity, and the network a linear function.
            "potential": {"kind": "mlp", "activation": "leaky_relu_1.0", "hidden": [2]},
            "amortization_model": {},
            "amortization": {"kind": "none"},
            "solver": settings.solver("lbfgs_high_precision"),
            "training": settings.training(),
        },
        2,
    )


PROBLEM = quadratic()
EVALUATE = evaluator(PROBLEM, EPSILON)


def affine(*maps: tuple[float, tuple[float, float]]) -> Networks:
    """Parameters of T(x) = c x + w, one (c, w) for each seed."""
    count = len(maps)
    factors, shifts = (jnp.asarray(item, jnp.float32) for item in zip(*maps, strict=True))
    potential = {
        "dense_0": {"kernel": jnp.stack([jnp.eye(2)] * count), "bias": jnp.zeros((count, 2))},
        "dense_1": {"kernel": shifts[:, :, None], "bias": jnp.zeros((count, 1))},
        "quadratic": {"log_alpha": jnp.log(factors)},
    }
    return Networks(potential, None)


def gaussians(factor: float, shift: tuple[float, float]) -> SyntheticPair:
    """A standard normal source, and its image under x -> factor x + shift."""
    return SyntheticPair(
        dimension=2, source=Gaussians(((0.0, 0.0),), 1.0), target=Gaussians((shift,), factor)
    )


PAIR = gaussians(2.0, (1.0, 0.0))


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Fixed(Pair):
    """Always the same points."""

    source: Any
    target: Any

    def sample_source(self, key: Any, size: int) -> Any:
        del key
        return self.source[:size]

    def sample_target(self, key: Any, size: int) -> Any:
        del key
        return self.target[:size]


def test_parameters_are_those_of_the_map():
    x = jnp.asarray(points(4, 0, seeds=2))
    moved = jax.jit(PROBLEM.push)(affine((2.0, (1.0, -1.0)), (0.5, (0.0, 3.0))), x)
    np.testing.assert_allclose(moved[0], 2 * x[0] + jnp.array([[1, -1]]), rtol=1e-6)
    np.testing.assert_allclose(moved[1], 0.5 * x[1] + jnp.array([[0, 3]]), rtol=1e-6)


def test_every_number_by_brute_force():
    """Five fixed points of each measure, under T(x) = 2 x + w, which fits neither."""
    w = np.array([0.5, -1.0])
    x, y = points(5, 0)[0], 3 * points(5, 1)[0] + 1
    pair = Fixed(dimension=2, source=jnp.asarray(x), target=jnp.asarray(y))
    found = EVALUATE(affine((2.0, (0.5, -1.0))), streams([0], "a"), pair, 5)
    pushed, pulled = 2 * x + w, (y - w) / 2
    expected = {
        "w2_forward": best_pairing(pushed, y),
        "w2_inverse": best_pairing(pulled, x),
        "w2_floor_forward": 0.0,
        "w2_floor_inverse": 0.0,
        "cost_forward": np.mean(np.sum((pushed - x) ** 2, axis=1)),
        "cost_inverse": np.mean(np.sum((pulled - y) ** 2, axis=1)),
        "monge_gap_forward": 0.0,
        "monge_gap_inverse": 0.0,
        "cycle_forward": 0.0,
        "cycle_inverse": 0.0,
        # V = -E f - E f*
        "dual_objective": -np.mean(x @ w + np.sum(x**2, 1)) - np.mean(np.sum((y - w) ** 2, 1) / 4),
        "sinkhorn_forward": solve(pushed[None], y[None], y[None], EPSILON)[0],
        "sinkhorn_inverse": solve(pulled[None], x[None], x[None], EPSILON)[0],
        "sinkhorn_floor_forward": solve(y[None], y[None], y[None], EPSILON)[0],
        "sinkhorn_floor_inverse": solve(x[None], x[None], x[None], EPSILON)[0],
    }
    for name, value in expected.items():
        # The conjugate solver stops where no coordinate of T(x_hat) - y is above 1e-3.
        np.testing.assert_allclose(getattr(found, name), [value], rtol=1e-3, atol=2e-3)
    assert found.cycle_inverse[0] <= 2 * 1e-3**2
    assert found.cycle_forward[0] <= 2 * 0.5e-3**2
    assert found.conjugate_gradient_norm_max[0] <= 1e-3
    counts = dict(zip(Status, np.asarray(found.conjugate_status_counts[0]).tolist(), strict=True))
    assert counts == dict.fromkeys(Status, 0) | {Status.CONVERGED: 5}
    known = {*expected, *(name for name in found._fields if name.startswith("conjugate_"))}
    assert known == set(TransportEvaluation._fields)


def test_an_optimal_map_is_as_good_as_fresh_samples():
    """T(x) = 2 x + w between Gaussians; two seeds of it, and one of the identity."""
    shift = (1.0, -2.0)
    params = affine((2.0, shift), (2.0, shift), (1.0, (0.0, 0.0)))
    found = EVALUATE(params, streams([0, 1, 2], "a"), gaussians(2.0, shift), 400)
    for end in ("forward", "inverse"):
        for name in ("w2", "sinkhorn"):
            error = np.asarray(getattr(found, f"{name}_{end}"))
            floor = np.asarray(getattr(found, f"{name}_floor_{end}"))
            assert (error[:2] < 2 * floor[:2]).all()
            assert (error[:2] > 0.5 * floor[:2]).all()
            assert error[2] > 5 * floor[2]
        gap = np.asarray(getattr(found, f"monge_gap_{end}"))
        np.testing.assert_allclose(gap, 0, atol=1e-3)
        cost = np.asarray(getattr(found, f"cost_{end}"))
        # E||T(x) - x||^2 = E||x||^2 + ||w||^2 = 7, standard error sqrt(4 + 20) / 20
        np.testing.assert_allclose(cost, [7, 7, 0], atol=4 * 0.25)
    # The squared Wasserstein-2 distance of the Gaussians, 2 (2 - 1)^2 + ||w||^2, either way.
    np.testing.assert_allclose(np.asarray(found.w2_forward)[2], 7, rtol=0.15)
    np.testing.assert_allclose(np.asarray(found.w2_inverse)[2], 7, rtol=0.15)
    # The floor is that of the measure aimed at: the target's is 4 times the source's, in law.
    ratio = np.asarray(found.w2_floor_forward) / np.asarray(found.w2_floor_inverse)
    np.testing.assert_allclose(ratio, 4, rtol=0.5)
    # V = -E f - E f* = -c E||x||^2 / 2 - E||y - w||^2 / (2 c) = -4; standard error 0.14
    np.testing.assert_allclose(found.dual_objective[:2], -4, atol=4 * 0.14)
    assert not np.allclose(found.w2_forward[0], found.w2_forward[1])


def test_the_floor_does_not_depend_on_the_map():
    keys = streams([4, 5], "a")
    one = EVALUATE(affine(*[(2.0, (1.0, 0.0))] * 2), keys, PAIR, SIZE)
    other = EVALUATE(affine(*[(0.2, (5.0, 5.0))] * 2), keys, PAIR, SIZE)
    for name in ("w2_floor_forward", "w2_floor_inverse"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    for name in ("sinkhorn_floor_forward", "sinkhorn_floor_inverse"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert (np.asarray(other.w2_forward) > 2 * np.asarray(one.w2_forward)).all()


def test_a_key_names_the_samples():
    params = affine(*[(1.0, (0.0, 0.0))] * 2)
    one, again, other = (
        EVALUATE(params, streams([0, 1], name), PAIR, SIZE) for name in ("a", "a", "b")
    )
    np.testing.assert_array_equal(one.w2_forward, again.w2_forward)
    drawn = np.concatenate([one.w2_forward, other.w2_forward])
    assert len(np.unique(drawn)) == 4  # by seed and by name
    # The identity moves the samples of neither measure, and those of both are drawn apart.
    assert (np.asarray(one.cost_forward) == 0).all()
    assert not np.array_equal(one.w2_floor_forward, one.w2_floor_inverse)


def test_a_diverged_seed_has_no_numbers_and_moves_no_other():
    params = affine(*[(2.0, (1.0, 0.0))] * 2)
    keys = streams([0, 1], "a")
    clean = EVALUATE(params, keys, PAIR, SIZE)
    potential = jax.tree.map(lambda leaf: leaf.at[1].set(jnp.nan), params.potential)
    broken = EVALUATE(Networks(potential, None), keys, PAIR, SIZE)
    for name in TransportEvaluation._fields[:15]:
        before, after = getattr(clean, name), getattr(broken, name)
        np.testing.assert_allclose(after[0], before[0], rtol=1e-4, atol=1e-5)
    # The solver leaves points where it began, so that of the inverse only the cycle tells.
    for name in ("w2", "sinkhorn", "cost", "monge_gap", "cycle"):
        assert not np.isfinite(getattr(broken, f"{name}_forward")[1]), name
    assert not np.isfinite(broken.cycle_inverse[1])
    assert broken.conjugate_status_counts[1, Status.NON_FINITE] == SIZE


def test_epsilon_reaches_sinkhorn_alone():
    params, keys = affine(*[(1.0, (0.0, 0.0))] * 2), streams([0, 1], "a")
    less, more = (evaluator(PROBLEM, eps)(params, keys, PAIR, SIZE) for eps in (0.01, 1.0))
    assert less.sinkhorn_forward[0] < 0.9 * more.sinkhorn_forward[0]
    assert less.sinkhorn_inverse[0] < 0.9 * more.sinkhorn_inverse[0]
    np.testing.assert_array_equal(less.w2_forward, more.w2_forward)


@pytest.mark.parametrize("samples", [0, 1])
def test_too_few_samples_are_refused(samples: int):
    with pytest.raises(ValueError, match=f"samples = {samples}; expected 2 or more"):
        EVALUATE(affine((1.0, (0.0, 0.0))), streams([0], "a"), gaussians(1.0, (0.0, 0.0)), samples)


def test_the_ends_are_the_suffixes_of_the_numbers():
    both = {name.rpartition("_")[2] for name in TransportEvaluation._fields[:14]}
    assert both == set(transport_metrics.ENDS)
