"""Mix3ToMix10: the ground truth against a hand-written gradient, and the pair as a JAX object."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.unit import settings

from w2dual import measures
from w2dual.measures.benchmark import icnn_dense, torchfile
from w2dual.measures.pairs import benchmark
from w2dual.records import InputError, load_arrays, save_arrays

Arrays = dict[str, np.ndarray]
STRONG_CONVEXITY = 1e-2


def gradient_by_hand(tensors: Arrays, x: np.ndarray) -> np.ndarray:
    """Gradient of one published potential at x [batch, n] in float64, by the chain rule.

    Forward: z1 = q1(x), z2 = celu(C1 z1 + q2(x)), z3 = celu(C2 z2 + q3(x)), f = w z3 + mu/2 |x|^2.
    Backward: each layer's cotangent d reaches x through q as 2 Q diag(Q^T x) d + L^T d.
    """
    exact = {key: value.astype(np.float64) for key, value in tensors.items()}
    squares = [exact[f"quadratic_layers.{i}.quadratic_decomposed"][:, 0, :] for i in range(3)]
    lines = [exact[f"quadratic_layers.{i}.weight"] for i in range(3)]
    biases = [exact[f"quadratic_layers.{i}.bias"] for i in range(3)]
    c1, c2 = (exact[f"convex_layers.{i}.weight"] for i in range(2))

    def skip(i: int) -> np.ndarray:
        return (x @ squares[i]) ** 2 + x @ lines[i].T + biases[i]

    def celu(a: np.ndarray) -> np.ndarray:
        return np.where(a > 0, a, np.expm1(np.minimum(a, 0)))

    def slope(a: np.ndarray) -> np.ndarray:
        return np.where(a > 0, 1.0, np.exp(np.minimum(a, 0)))

    z1 = skip(0)
    a2 = z1 @ c1.T + skip(1)
    a3 = celu(a2) @ c2.T + skip(2)
    d3 = exact["final_layer.weight"] * slope(a3)
    d2 = (d3 @ c2) * slope(a2)
    d1 = d2 @ c1
    through = [
        2.0 * ((x @ squares[i]) * d) @ squares[i].T + d @ lines[i]
        for i, d in enumerate((d1, d2, d3))
    ]
    return sum(through) + STRONG_CONVEXITY * x


@jax.jit
def mapped_points(
    pair: benchmark.BenchmarkPair, key: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    x = pair.sample_source(key, 1000)
    return x, pair.ground_truth_unstandardised(x), pair.ground_truth(x)


@pytest.mark.benchmark_weights
@pytest.mark.parametrize("n", settings.published_dimensions())
def test_ground_truth_equals_the_gradient_by_hand(
    n: int, mirror: Path, prepared: Callable[[int], Path]
):
    """At 1,000 points, the standardised map and the plain gradient, to 1e-5 relative."""
    path = prepared(n)
    pair = measures.load_solved(path)
    assert isinstance(pair, benchmark.BenchmarkPair)
    points, pushed, standardised = mapped_points(pair, jax.random.key(n))
    exact = np.asarray(points, np.float64)
    expected = np.zeros_like(exact)
    for version in ("v1", "v2"):
        file = mirror / "Mix3toMix10" / f"{n}_{version}.pt"
        expected += gradient_by_hand(torchfile.read(file.read_bytes(), file.name), exact)
    arrays, _ = load_arrays(path)
    shift, scale = (arrays[key].astype(np.float64) for key in ("shift", "scale"))
    for found, wanted in ((pushed, expected), (standardised, scale * (expected - shift))):
        errors = np.linalg.norm(np.asarray(found) - wanted, axis=1)
        size = np.sqrt(np.mean(np.sum(wanted**2, axis=1)))
        # Measured 1e-7 (n = 2) to 1e-6 (n = 128).
        assert np.sqrt(np.mean(errors**2)) <= 1e-5 * size
        # The worst point: single precision, where a unit's input cancels to about zero and CELU's
        # slope takes over its absolute error. Measured 6e-7 to 1.4e-5.
        assert errors.max() <= 5e-5 * size


def test_potential_is_the_formula_at_a_point_worked_out_by_hand():
    """In dimension 1, all weights chosen: q_i(x) = x^2 + 2 x + 3 in each of its units."""
    weights = icnn_dense.assemble(
        {
            key: jnp.full(shape, {"quad": 1.0, "linear": 2.0, "bias": 3.0}.get(key[:-2], 0.0))
            for key, shape in icnn_dense.shapes(1).items()
        }
    )._replace(final=jnp.full((1, 32), 1 / 32))
    x = jnp.array([[0.5], [-2.0]])
    # convex weights 0: f = celu(q) + mu/2 x^2 with q = x^2 + 2x + 3 > 0, so celu(q) = q.
    expected = x[:, 0] ** 2 + 2 * x[:, 0] + 3 + 0.5 * 0.1 * x[:, 0] ** 2
    values, push = jax.jit(icnn_dense.values), jax.jit(icnn_dense.push)
    np.testing.assert_allclose(values(weights, 0.1, x), expected, rtol=1e-6)
    np.testing.assert_allclose(push(weights, 0.1, x), 2 * x + 2 + 0.1 * x, rtol=1e-6)


def test_map_is_monotone_and_its_jacobian_symmetric(toy_pair: benchmark.BenchmarkPair):
    """A gradient of a strongly convex function, whatever the weights."""
    points, _, mapped = (np.asarray(item) for item in mapped_points(toy_pair, jax.random.key(0)))
    x, y = points[:500], points[500:]
    inner = np.sum((mapped[:500] - mapped[500:]) * (x - y), axis=1)
    modulus = 2 * STRONG_CONVEXITY * float(toy_pair.scale)
    assert np.all(inner >= 0.999 * modulus * np.sum(np.square(x - y), axis=1))
    jacobian = jax.jit(jax.jacobian(toy_pair.ground_truth))(x[0])
    np.testing.assert_allclose(jacobian, jacobian.T, atol=1e-5)


def test_pair_passes_through_jit_and_compiles_once(toy_pair: benchmark.BenchmarkPair):
    traces = 0

    @jax.jit
    def mapped(
        pair: benchmark.BenchmarkPair, key: jax.Array
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        nonlocal traces
        traces += 1
        x = pair.sample_source(key, 64)
        return x, pair.ground_truth(x) / jnp.sqrt(pair.var_target), pair.sample_target(key, 64)

    truth = jax.jit(toy_pair.ground_truth)  # with the pair as constants
    for seed in (0, 1):
        x, y, target = mapped(toy_pair, jax.random.key(seed))
        np.testing.assert_allclose(y, truth(x) / np.sqrt(3.0), rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(target.shape, (64, 3))
    assert traces == 1


@pytest.mark.parametrize("shape", [(3,), (2, 5, 3)])
def test_map_keeps_any_leading_shape(toy_pair: benchmark.BenchmarkPair, shape: tuple[int, ...]):
    x = jax.random.normal(jax.random.key(0), shape)
    found = jax.jit(toy_pair.ground_truth)(x)
    assert found.shape == shape
    one = jax.jit(toy_pair.ground_truth)
    one_by_one = [one(point[None])[0] for point in np.asarray(x).reshape(-1, 3)]
    np.testing.assert_allclose(found.reshape(-1, 3), np.stack(one_by_one), rtol=1e-5, atol=1e-6)


def test_samples_depend_on_the_key_alone(toy_pair: benchmark.BenchmarkPair):
    first, again, other = (
        np.asarray(mapped_points(toy_pair, jax.random.key(seed))[0]) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.any(first == other)


def test_target_has_zero_mean_and_the_stated_moments(toy_pair: benchmark.BenchmarkPair):
    drawn = jax.jit(lambda pair, key: pair.sample_target(key, 100_000))(toy_pair, jax.random.key(9))
    points = np.asarray(drawn, np.float64)
    cov = toy_pair.moments.cov_target
    # Both are estimates, from 100,000 and 20,000 points.
    np.testing.assert_allclose(points.mean(axis=0), 0.0, atol=0.06)
    np.testing.assert_allclose(np.cov(points.T), cov, atol=0.1)
    np.testing.assert_allclose(np.trace(cov), 3.0, rtol=1e-5)


def test_file_round_trip(
    toy_pair: benchmark.BenchmarkPair, toy_content: tuple[Arrays, dict[str, Any]], tmp_path: Path
):
    path = tmp_path / "hd3.safetensors"
    save_arrays(path, *toy_content)
    loaded = measures.load_solved(path)
    assert isinstance(loaded, benchmark.BenchmarkPair)
    assert jax.tree.structure(loaded) == jax.tree.structure(toy_pair)
    for stored, made in zip(jax.tree.leaves(loaded), jax.tree.leaves(toy_pair), strict=True):
        assert np.shape(stored) == np.shape(made)
        np.testing.assert_array_equal(stored, made)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"shift": None}, r"lacks \['shift'\]"),
        ({"v2.convex.1": None}, r"lacks \['v2.convex.1'\]"),
        ({"cov_target": None}, r"lacks \['cov_target'\]"),
        ({"maps": np.zeros((3, 2, 2), np.float32)}, r"maps is float32 \[3, 2, 2\].*\[3, 3, 3\]"),
        ({"shift": np.zeros(3)}, "shift is float64"),
        ({"v1.final": np.full((1, 32), np.nan, np.float32)}, "not finite"),
        ({"cost": np.array(np.inf)}, "not finite"),
    ],
)
def test_a_file_that_lacks_a_part_is_named(
    toy_content: tuple[Arrays, dict[str, Any]], tmp_path: Path, change: dict, said: str
):
    arrays = {k: v for k, v in (toy_content[0] | change).items() if v is not None}
    path = tmp_path / "hd3.safetensors"
    save_arrays(path, arrays, toy_content[1])
    with pytest.raises(InputError, match=rf"hd3\.safetensors: .*{said}"):
        measures.load(path)


@pytest.mark.parametrize(
    "change", [{"kind": "unheard"}, {"kind": None}, {"format": 0}, {"dimension": "3"}]
)
def test_metadata_of_another_kind_or_format_is_an_error(
    toy_content: tuple[Arrays, dict[str, Any]], tmp_path: Path, change: dict
):
    path = tmp_path / "hd3.safetensors"
    save_arrays(path, toy_content[0], toy_content[1] | change)
    with pytest.raises(InputError, match=r"hd3\.safetensors: "):
        measures.load(path)


def test_missing_or_corrupt_file_is_an_error(tmp_path: Path):
    path = tmp_path / "hd2.safetensors"
    with pytest.raises(InputError, match="no such file"):
        measures.load(path)
    path.write_bytes(b"\x10\0\0\0\0\0\0\0 broken")
    with pytest.raises(InputError, match=r"hd2\.safetensors"):
        measures.load(path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"final_layer.weight": None}, "lacks"),
        ({"extra": np.zeros(1, np.float32)}, "does not have: .'extra'"),
        ({"final_layer.weight": np.zeros((1, 31), np.float32)}, r"\[1, 31\].*\[1, 32\]"),
        ({"final_layer.weight": np.zeros((1, 32))}, "float64"),
    ],
)
def test_tensors_of_another_network_are_refused(change: dict, said: str):
    tensors = {}
    for ours, shape in icnn_dense.shapes(2).items():
        field, _, layer = ours.partition(".")
        published = {
            "quad": f"quadratic_layers.{layer}.quadratic_decomposed",
            "linear": f"quadratic_layers.{layer}.weight",
            "bias": f"quadratic_layers.{layer}.bias",
            "convex": f"convex_layers.{layer}.weight",
            "final": "final_layer.weight",
        }[field]
        full = (shape[0], 1, shape[1]) if field == "quad" else shape
        tensors[published] = np.zeros(full, np.float32)
    icnn_dense.from_tensors(tensors, 2, "2_v1.pt")
    changed = {k: v for k, v in (tensors | change).items() if v is not None}
    with pytest.raises(InputError, match=rf"2_v1\.pt: .*{said}"):
        icnn_dense.from_tensors(changed, 2, "2_v1.pt")
