"""A pair of images as a JAX object: sampling, T* and its inverse, and its file."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from tests.unit.measures.celeba64 import published

from w2dual import measures
from w2dual.measures.base import Moments
from w2dual.measures.celeba64 import generator, icnn_conv, maps
from w2dual.measures.pairs import celeba64
from w2dual.records import InputError, load_arrays, save_arrays

N = 768
MOMENTS = Moments(
    mean_source=np.zeros(N),
    cov_source=None,
    mean_target=np.zeros(N),
    cov_target=None,
    var_source=np.float64(2.0),
    var_target=np.float64(1.0),
    cost=np.float64(0.5),
)


@pytest.fixture(scope="module")
def content() -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """A prepared file's, but for moments that belong to no sample."""
    return published.prepared_pair(MOMENTS)


@pytest.fixture(scope="module")
def pair(content) -> celeba64.CelebaPair:
    return celeba64.from_arrays(*content)


@jax.jit
def drawn(pair: celeba64.CelebaPair, keys: jax.Array) -> jax.Array:
    """Return points for each key."""
    return jax.vmap(lambda key: pair.sample_source(key, 10))(keys)


@jax.jit
def mapped(pair: celeba64.CelebaPair, x: jax.Array) -> jax.Array:
    return pair.ground_truth(x)


def test_seeds_are_vectorised(pair):
    keys = jax.random.split(jax.random.key(0), 3)
    x = np.asarray(drawn(pair, keys))
    assert x.shape == (3, 10, N)
    for other in (1, 2):
        assert not np.any(x[0] == x[other])
    # Images of tanh and a little noise, which is what differs between the two.
    assert 0.9 < np.abs(x).max() < 1.1
    latent_key, noise_key = jax.random.split(keys[1])
    latent = jax.random.normal(latent_key, (10, published.SMALL.latent))
    images = jax.jit(generator.images)(pair.generator, latent)
    noise = 0.01 * jax.random.normal(noise_key, images.shape)
    np.testing.assert_allclose(x[1], images + noise, atol=1e-5)
    assert np.std(x[1] - images) == pytest.approx(0.01, rel=0.05)


def test_the_map_is_strongly_monotone(pair):
    """<T*x - T*z, x - z> >= 0.01 |x - z|^2, between points near and far."""
    x = np.asarray(drawn(pair, jax.random.split(jax.random.key(7), 3)))
    y = np.asarray(mapped(pair, x), np.float64)
    near = x + np.float32(0.01) * np.random.default_rng(0).normal(size=x.shape).astype(np.float32)
    for other in (np.roll(x, 1, axis=1), near, 10 * x):
        apart = x.astype(np.float64) - other
        inner = np.sum((y - np.asarray(mapped(pair, other), np.float64)) * apart, axis=-1)
        # Of a difference of 0.01 single precision keeps four digits.
        assert np.all(inner >= 0.999 * 0.01 * np.sum(apart**2, axis=-1))


@pytest.mark.parametrize("count", [3, 4, 8, 10])
def test_blocks_change_nothing(count: int):
    """At most 4 rows at once: whole blocks and the rest."""
    seen = []

    def double(rows: jax.Array) -> jax.Array:
        seen.append(len(rows))
        return jnp.concatenate([2 * rows, rows], axis=1)

    rows = jnp.arange(3.0 * count).reshape(count, 3)
    found = maps.in_blocks(double, rows, at_once=4)
    np.testing.assert_array_equal(found, jnp.concatenate([2 * rows, rows], axis=1))
    assert max(seen) <= 4


def test_many_images_are_made_and_mapped_in_blocks(pair):
    """An evaluation's 4,096 images: what is held at once is bounded."""

    def both(key: jax.Array) -> jax.Array:
        return pair.ground_truth(pair.sample_source(key, 4096))

    text = str(jax.make_jaxpr(both)(jax.random.key(0)))
    assert text.count("scan[") == 2
    assert "f32[1024,8,16,16]" in text  # the generator's last layers, 4 blocks
    assert "f32[4096,8,16,16]" not in text


def test_a_conjugate_of_high_precision_gives_back_the_point(pair):
    """argmin_x psi(x) - <x, T*(x0)> is x0, for psi the mean of the potentials; by SciPy."""
    with jax.enable_x64(True):
        potentials = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), pair.potentials)

        @jax.jit
        @jax.value_and_grad
        def psi(x: jax.Array) -> jax.Array:
            return (
                icnn_conv.values(potentials[0], 0.01, x[None])[0]
                + icnn_conv.values(potentials[1], 0.01, x[None])[0]
            ) / 2

        x0 = np.random.default_rng(0).uniform(-1, 1, N)
        y = np.asarray(psi(x0)[1])

        def objective(x: np.ndarray) -> tuple[float, np.ndarray]:
            value, gradient = psi(x)
            return float(value) - float(x @ y), np.asarray(gradient) - y

        options = {"gtol": 1e-9, "ftol": 0.0, "maxiter": 2000, "maxfun": 4000}
        found = scipy.optimize.minimize(
            objective, np.zeros(N), jac=True, method="L-BFGS-B", options=options
        )
        np.testing.assert_allclose(found.x, x0, atol=1e-5)
    x = np.broadcast_to(x0.astype(np.float32), (3, 10, N))
    np.testing.assert_allclose(mapped(pair, x)[0, 0], y, rtol=1e-4, atol=1e-5)


def test_the_file_gives_the_pair_back(pair, content, tmp_path: Path):
    path = tmp_path / "celeba64_early.safetensors"
    save_arrays(path, *content)
    loaded = measures.load_solved(path)
    assert jax.tree.structure(loaded) == jax.tree.structure(pair)
    jax.tree.map(np.testing.assert_array_equal, loaded, pair)
    assert loaded.moments.cov_source is None
    assert set(load_arrays(path)[0]) == set(content[0])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"noise": None}, r"lacks \['noise'\]"),
        ({"v2.final": None}, r"lacks \['v2.final'\]"),
        ({"var_target": None}, r"lacks \['var_target'\]"),
        ({"generator.fc.bias": None}, r"lacks \['generator.fc.bias'\]"),
        ({"mean_source": np.zeros(3)}, r"mean_source is float64 \[3\].*\[768\]"),
        ({"v1.final_bias": np.full(1, np.nan, np.float32)}, "not finite"),
    ],
)
def test_a_file_that_lacks_a_part_is_named(content, change: dict[str, Any], said: str):
    arrays = {k: v for k, v in (content[0] | change).items() if v is not None}
    with pytest.raises(InputError, match=rf"early: .*{said}"):
        celeba64.from_arrays(arrays, content[1], "early")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"dimension": 700}, "`dimension` is 700 where images of side 16 have 768"),
        ({"architecture": None}, "`architecture` None is not a mapping"),
        ({"architecture": {"size": 16}}, "`architecture` lacks `latent`"),
        ({"widths": [8, 16, "32", 64]}, "no counts"),
        ({"widths": [8, 16, 32]}, "expected 4 widths"),
        ({"rank": None}, "no counts"),
    ],
)
def test_metadata_that_fits_no_pair_is_named(content, change: dict[str, Any], said: str):
    with pytest.raises(InputError, match=said):
        celeba64.from_arrays(content[0], content[1] | change, "early")
