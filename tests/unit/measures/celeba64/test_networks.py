"""ConvICNN and ResNet_G against values of PyTorch, and the properties that make T* a map."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.unit.measures.celeba64 import formula

from w2dual.measures.celeba64 import generator, icnn_conv
from w2dual.measures.celeba64.generator import Architecture
from w2dual.measures.celeba64.weights import PUBLISHED, PUBLISHED_WIDTHS
from w2dual.records import InputError

WIDTHS = (8, 16, 32, 64)
SMALL = Architecture(size=16, latent=16, filters=8, max_filters=32)
MU = 0.01
# PyTorch 2, float64, on the published classes in evaluation mode.
POTENTIALS = {
    16: {
        "value": (22.011249, 22.454755),
        "norm": (2.4644445, 2.5796820),
        "slope": (0.41805964, 0.23373850),
        "first": (-0.00443258, -0.02706206, 0.03831286),
    },
    64: {
        "value": (56.363993, 56.685607),
        "norm": (3.7684116, 3.8063246),
        "slope": (0.80912322, -0.84044975),
        "first": (-0.00200812, -0.00895158, 0.00788047),
    },
}
IMAGES = {
    16: {
        "mean": (-0.26422174, -0.24546450),
        "first": (-0.22803125, -0.38216567, -0.38905340),
        "product": (-9.0612890, -4.9321970),
    },
    64: {
        "mean": (-0.20486534, -0.23923771),
        "std": (0.63124043, 0.63418821),
        "first": (0.24329560, 0.46689851, 0.54951687),
        "product": (1.0291858, -33.672094),
    },
}


def weights(size: int, dtype: type = np.float32) -> icnn_conv.ConvICNN:
    widths = WIDTHS if size == 16 else PUBLISHED_WIDTHS
    tensors = formula.convex_tensors(icnn_conv.published_shapes(size, widths))
    assert list(tensors)[0] == "convex_layers.0.weight"
    found = icnn_conv.from_tensors(tensors, size, widths, "x.pt")
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), found)


def check_potential(size: int, dtype: type, rtol: float) -> None:
    """Compare value and gradient with PyTorch's at two points."""
    n = 3 * size**2
    x = jnp.asarray(formula.points(2, n), dtype)

    @jax.jit
    def both(current: icnn_conv.ConvICNN, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        return icnn_conv.values(current, MU, x), icnn_conv.push(current, MU, x)

    value, gradient = (np.asarray(item, np.float64) for item in both(weights(size, dtype), x))
    slope = np.sum(gradient * formula.direction(2, n), axis=1)
    wanted = POTENTIALS[size]
    np.testing.assert_allclose(value, wanted["value"], rtol=rtol)
    np.testing.assert_allclose(np.linalg.norm(gradient, axis=1), wanted["norm"], rtol=rtol)
    np.testing.assert_allclose(slope, wanted["slope"], rtol=rtol)
    np.testing.assert_allclose(gradient[0, :3], wanted["first"], rtol=rtol, atol=5e-9)


def check_images(architecture: Architecture, dtype: type, rtol: float) -> None:
    """Compare two images with PyTorch's."""
    tensors = formula.generator_tensors(generator.published_shapes(architecture))
    made = generator.from_tensors(tensors, architecture, "x.pt", dtype)
    latent = jnp.asarray(formula.points(2, architecture.latent), dtype)
    images = np.asarray(jax.jit(generator.images)(made, latent), np.float64)
    product = np.sum(images * formula.direction(2, architecture.dimension), axis=1)
    wanted = IMAGES[architecture.size]
    np.testing.assert_allclose(images.mean(axis=1), wanted["mean"], rtol=rtol)
    np.testing.assert_allclose(images[0, :3], wanted["first"], rtol=rtol)
    np.testing.assert_allclose(product, wanted["product"], rtol=rtol)
    if "std" in wanted:
        np.testing.assert_allclose(images.std(axis=1), wanted["std"], rtol=rtol)


def test_the_published_files_have_as_many_numbers():
    shapes = icnn_conv.published_shapes(64, PUBLISHED_WIDTHS)
    assert len(shapes) == 12
    assert sum(map(np.prod, shapes.values())) == 11_247_105
    assert sum(map(np.prod, icnn_conv.shapes(16, WIDTHS).values())) == 56_865
    shapes = generator.published_shapes(PUBLISHED)
    assert len(shapes) == 123
    learned = [shape for name, shape in shapes.items() if "running" not in name]
    assert sum(map(np.prod, learned)) == 24_004_675
    assert len(generator.published_shapes(SMALL)) == 78


def test_the_potential_is_pytorchs_in_float32():
    check_potential(16, np.float32, 1e-4)


def test_the_potential_is_pytorchs_in_float64():
    with jax.enable_x64(True):
        check_potential(16, np.float64, 1e-6)


def test_the_published_potential_is_pytorchs():
    check_potential(64, np.float32, 1e-4)


def test_images_are_pytorchs_in_float32():
    check_images(SMALL, np.float32, 1e-4)


def test_images_are_pytorchs_in_float64():
    with jax.enable_x64(True):
        check_images(SMALL, np.float64, 1e-6)


def test_published_images_are_pytorchs():
    check_images(PUBLISHED, np.float32, 1e-4)


def test_folded_normalisation_is_the_unfolded_one():
    """Each layer, then (x - mean) / sqrt(var + 1e-5) * weight + bias, in float64."""
    tensors = formula.generator_tensors(generator.published_shapes(SMALL))
    with jax.enable_x64(True):
        exact = {name: jnp.asarray(item, np.float64) for name, item in tensors.items()}

        def layer(name: str, x: jax.Array) -> jax.Array:
            made = generator.affine(x, exact[f"{name}.weight"])
            if f"{name}.bias" in exact:
                made += generator.broadcast(exact[f"{name}.bias"], made)
            norm = generator.norm_of(name)
            if norm is None:
                return made
            weight, bias, mean, variance = (
                generator.broadcast(exact[f"{norm}.{part}"], made) for part in generator.NORM
            )
            return (made - mean) / jnp.sqrt(variance + 1e-5) * weight + bias

        latent = jnp.asarray(formula.points(5, SMALL.latent), np.float64)
        unfolded = jax.jit(lambda z: generator.run(SMALL, z, layer))(latent)
        folded = generator.from_tensors(tensors, SMALL, "x.pt", np.float64)
        np.testing.assert_allclose(jax.jit(generator.images)(folded, latent), unfolded, atol=1e-13)


def test_it_is_the_clamp_that_makes_it_convex():
    start = icnn_conv.init(jax.random.key(0), 16, WIDTHS, std=0.3)
    push = jax.jit(lambda current, x: icnn_conv.push(current, MU, x))
    x = jax.random.normal(jax.random.key(0), (64, 768))
    z = x + jax.random.normal(jax.random.key(1), x.shape)

    def inner(current: icnn_conv.ConvICNN) -> np.ndarray:
        return np.sum((push(current, x) - push(current, z)) * (x - z), axis=1)

    assert np.any(inner(start) < 0.0)
    assert np.all(inner(icnn_conv.convexify(start)) > 0.0)


def test_prepared_arrays_come_back():
    current = weights(16)
    arrays = icnn_conv.to_arrays(current, "v1")
    assert set(arrays) == {f"v1.{name}" for name in icnn_conv.shapes(16, WIDTHS)}
    back = icnn_conv.from_arrays(arrays, "v1", 16, WIDTHS, "x")
    jax.tree.map(np.testing.assert_array_equal, back, current)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"pos_features.7.bias": None}, r"lacks \['pos_features.7.bias'\]"),
        ({"extra": np.zeros(1, np.float32)}, r"a ConvICNN does not have: \['extra'\]"),
        ({"pos_features.7.bias": np.zeros(2, np.float32)}, r"float32 \[2\].*\[1\] is right"),
        ({"pos_features.7.bias": np.zeros(1)}, "float64"),
        ({"pos_features.7.bias": np.full(1, np.inf, np.float32)}, "not finite"),
        (
            {"pos_features.4.weight": np.full((64, 32, 4, 4), -1e-9, np.float32)},
            r"pos_features.4.weight has negative weights, the lowest -1e-09; .* not be convex",
        ),
    ],
)
def test_tensors_of_another_potential_are_refused(change: dict[str, Any], said: str):
    tensors = formula.convex_tensors(icnn_conv.published_shapes(16, WIDTHS))
    changed = {k: v for k, v in (tensors | change).items() if v is not None}
    with pytest.raises(InputError, match=rf"^Early_v1\.pt: .*{said}"):
        icnn_conv.from_tensors(changed, 16, WIDTHS, "Early_v1.pt")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"bn1d.running_var": None}, r"lacks \['bn1d.running_var'\]"),
        ({"resnet.2.conv_0.weight": np.zeros(1, np.float32)}, "a ResNet_G does not have"),
        ({"fc.bias": np.zeros(511, np.float32)}, r"float32 \[511\].*\[512\] is right"),
        ({"bn1d.running_var": np.full(512, -1, np.float32)}, "negative variance -1"),
    ],
)
def test_tensors_of_another_generator_are_refused(change: dict[str, Any], said: str):
    tensors = formula.generator_tensors(generator.published_shapes(SMALL))
    counts = {"bn1d.num_batches_tracked": np.array(7)}
    generator.from_tensors(tensors | counts, SMALL, "Final_G.pt")
    changed = {k: v for k, v in (tensors | change).items() if v is not None}
    with pytest.raises(InputError, match=rf"^Final_G\.pt: .*{said}"):
        generator.from_tensors(changed, SMALL, "Final_G.pt")


@pytest.mark.parametrize("size", [0, 4, 12, 24, 63])
def test_a_generator_of_another_side_is_refused(size: int):
    with pytest.raises(InputError, match=f"generator of side {size}; expected 8, 16, 32"):
        Architecture(size=size, latent=8, filters=8, max_filters=8)


@pytest.mark.parametrize("size", [0, 8, 24])
def test_a_potential_of_another_side_is_refused(size: int):
    with pytest.raises(InputError, match=f"images of side {size}; expected a multiple of 16"):
        icnn_conv.shapes(size, WIDTHS)
