"""The potentials: the formulas, convexity, start values."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from w2dual import potentials
from w2dual.potentials.activations import activation
from w2dual.records import InputError

ICNN = {"kind": "icnn", "activation": "elu", "actnorm": True, "hidden": (16, 16, 8)}
MLP = {"kind": "mlp", "activation": "elu", "hidden": (16, 16, 8)}

value_of, value_and_gradient = (
    jax.jit(function, static_argnums=0)
    for function in (potentials.value, potentials.value_and_gradient)
)


@pytest.fixture(params=[ICNN, MLP], ids=["icnn", "mlp"])
def network(request):
    module = potentials.make(request.param, 3)
    points = jax.random.uniform(jax.random.key(0), (256, 3), minval=-5, maxval=5)
    return module, jax.jit(module.init)(jax.random.key(1), points)["params"], points


def elu(x):
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def test_the_mlp_is_its_formula():
    module = potentials.make(MLP, 3)
    x = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    params = jax.jit(module.init)(jax.random.key(0), jnp.asarray(x))["params"]
    params["quadratic"]["log_alpha"] = jnp.asarray(0.3)
    z = x.astype(np.float64)
    for i in range(4):
        layer = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params[f"dense_{i}"])
        z = elu(z @ layer["kernel"] + layer["bias"])
    expected = z[:, 0] + 0.5 * np.exp(0.3) * (x.astype(np.float64) ** 2).sum(1)
    np.testing.assert_allclose(value_of(module, params, jnp.asarray(x)), expected, rtol=1e-5)


def test_the_icnn_is_its_formula():
    module = potentials.make(ICNN, 3)
    x = np.random.default_rng(0).normal(size=(64, 3)).astype(np.float32)
    params = jax.jit(module.init)(jax.random.key(0), jnp.asarray(x))["params"]
    p = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
    wide = x.astype(np.float64)
    z = elu(wide @ p["x_0"]["kernel"] + p["x_0"]["bias"])
    for i in (1, 2, 3):
        kernel = np.log1p(np.exp(p[f"z_{i}"]["kernel"])) / z.shape[1]
        z = z @ kernel + wide @ p[f"x_{i}"]["kernel"] + p[f"x_{i}"]["bias"]
        if i < 3:
            norm = p[f"actnorm_{i}"]
            z = (z + norm["bias"]) / np.exp(norm["log_scale"])
            # the start depends on the data: mean 0, standard deviation 1 on the first batch
            np.testing.assert_allclose(z.mean(0), 0, atol=1e-5)
            np.testing.assert_allclose(z.std(0), 1, rtol=1e-4)
        z = elu(z)
    expected = z[:, 0] + 0.5 * (wide**2).sum(1)
    np.testing.assert_allclose(value_of(module, params, jnp.asarray(x)), expected, rtol=1e-4)


def test_gradient_against_finite_differences(network):
    module, params, points = network
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), params)
        x = np.asarray(points[:8], np.float64)
        value, gradient = value_and_gradient(module, wide, jnp.asarray(x))
        np.testing.assert_allclose(value, value_of(module, wide, jnp.asarray(x)))
        for i in range(3):
            step = np.zeros((1, 3))
            step[0, i] = 1e-6
            up = value_of(module, wide, jnp.asarray(x + step))
            down = value_of(module, wide, jnp.asarray(x - step))
            # central differences at 1e-6 in float64: about 1e-9 of rounding
            np.testing.assert_allclose(gradient[:, i], (up - down) / 2e-6, rtol=1e-6, atol=1e-7)


def test_the_icnn_is_convex_along_random_segments():
    module = potentials.make(ICNN, 3)
    rng = np.random.default_rng(3)
    a, b = (jnp.asarray(rng.normal(size=(500, 3)) * 5, jnp.float32) for _ in range(2))
    params = jax.jit(module.init)(jax.random.key(2), a)["params"]
    noisy = jax.tree.map(
        lambda leaf: leaf + 0.3 * jax.random.normal(jax.random.key(4), leaf.shape), params
    )
    value = lambda x: np.asarray(value_of(module, noisy, x), np.float64)  # noqa: E731
    gap = (value(a) + value(b)) / 2 - value((a + b) / 2)
    assert gap.min() > -1e-4


def test_a_sharp_softplus_is_smooth_and_near_the_positive_part():
    z = jnp.linspace(-3.0, 3.0, 301)
    for sharpness in (1.0, 10.0):
        value = activation(f"softplus_{sharpness:g}")(z)
        assert jnp.max(jnp.abs(value - jnp.maximum(z, 0.0))) <= np.log(2) / sharpness + 1e-6
        slope = jax.vmap(jax.grad(activation(f"softplus_{sharpness:g}")))(z)
        np.testing.assert_allclose(slope, jax.nn.sigmoid(sharpness * z), atol=1e-6)


@pytest.mark.parametrize("name", ["softplus_", "softplus_x", "softplus_-1", "leaky_relu_0"])
def test_a_number_that_is_none_is_refused(name):
    with pytest.raises(InputError, match=name):
        activation(name)


def test_unknown_kind_and_activation():
    with pytest.raises(InputError, match=r"no module w2dual\.potentials\.transformer"):
        potentials.make({"kind": "transformer"}, 2)
    with pytest.raises(InputError, match="swish"):
        potentials.make({**MLP, "activation": "swish"}, 2)
