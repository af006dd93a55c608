"""The convolutional potential against PyTorch's numbers for w2ot's class, and flax's convolution.

Weights come from a formula: a hash of the position, so that no framework's generator matters.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from w2dual import potentials
from w2dual.potentials.conv import Convolution
from w2dual.records import InputError

COLOURS = {"colour_mean": [0.485, 0.456, 0.406], "colour_std": [0.229, 0.224, 0.225]}
FULL = COLOURS | {
    "kind": "conv",
    "activation": "elu",
    "channels": [128, 128, 256, 512, 1024, 1],
    "kernels": [4, 4, 4, 4, 4, 2],
    "strides": [2, 2, 2, 2, 2, 1],
}
SMALL = FULL | {
    "channels": [16, 16, 32, 1],
    "kernels": [4, 4, 4, 2],
    "strides": [2, 2, 2, 1],
}
# Of two images: the value without the quadratic term, the norm of its gradient, and how many
# parameters there are, computed by the published class.
PUBLISHED = {
    "full": (FULL, 64, [0.79821879, 0.29597314], [0.61737355, 0.61779199], 11_284_482),
    "small": (SMALL, 16, [0.30208123, 1.0956256], [0.90868517, 0.98361514], None),
}


def v(t, shape):
    """Return numbers in [-1, 1), from a hash of their place: tensor t, index in C order."""
    h = np.arange(1, np.prod(shape, dtype=int) + 1, dtype=np.uint64) + 0x9E3779B9 * (t + 1)
    h = h.astype(np.uint32)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        h ^= h >> np.uint32(shift)
        h *= np.uint32(factor)
    h ^= h >> np.uint32(16)
    return ((h / 2.0**31) - 1).reshape(shape).astype(np.float32)


def filled(module, side, dtype):
    """Return the network's parameters by the formula, and two images."""
    x = v(100, (2, 3 * side * side)).astype(dtype)
    shapes = jax.eval_shape(module.init, jax.random.key(0), jnp.asarray(x))["params"]
    params = {}
    for i in range(len(shapes) - 1):
        shape = shapes[f"conv_{i}"]["kernel"].shape
        kernel = (np.sqrt(3 / np.prod(shape[:3])) * v(2 * i, shape)).astype(np.float32)
        bias = (0.1 * v(2 * i + 1, (shape[3],))).astype(np.float32)
        params[f"conv_{i}"] = {"kernel": kernel.astype(dtype), "bias": bias.astype(dtype)}
    params["quadratic"] = {"log_alpha": np.asarray(0.1, dtype)}
    return jax.tree.map(jnp.asarray, params), jnp.asarray(x)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("size", PUBLISHED)
def test_values_and_gradients_are_the_published_class_s(size, dtype):
    settings, side, values, norms, _ = PUBLISHED[size]
    with jax.enable_x64(dtype == np.float64):
        module = potentials.make(settings, 3 * side * side)
        params, x = filled(module, side, dtype)
        found, gradients = jax.jit(
            lambda params, x: potentials.value_and_gradient(module, params, x)
        )(params, x)
        alpha = np.exp(np.float64(params["quadratic"]["log_alpha"]))
        points = np.asarray(x, np.float64)
        # The values are given without the quadratic term, of which float32 leaves less digits.
        plain = np.asarray(found, np.float64) - 0.5 * alpha * (points**2).sum(1)
        slopes = np.asarray(gradients, np.float64) - alpha * points
    size_of_term = 0.5 * alpha * (points**2).sum(1)
    digits = 1e-6 if dtype == np.float64 else 1e-4
    limit = digits * np.abs(values) + (0 if dtype == np.float64 else 1e-6 * size_of_term)
    assert (np.abs(plain - values) < limit).all()
    np.testing.assert_allclose(np.linalg.norm(slopes, axis=1), norms, rtol=digits)


def test_parameters_are_as_many_as_published():
    settings, side, *_, count = PUBLISHED["full"]
    module = potentials.make(settings, 3 * side * side)
    shapes = jax.eval_shape(module.init, jax.random.key(0), jnp.zeros((1, 3 * side * side)))
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == count


@pytest.mark.parametrize(
    ("side", "kernel", "stride", "padded"),
    [(8, 4, 2, True), (7, 4, 2, True), (6, 4, 2, False), (5, 3, 1, True), (9, 6, 3, True)],
)
def test_a_convolution_is_that_of_flax(side, kernel, stride, padded):
    x = jnp.asarray(v(3, (2, side, side, 3)))
    ours = Convolution(5, kernel, stride, padded)
    theirs = nn.Conv(5, (kernel, kernel), stride, padding="SAME" if padded else "VALID")
    params = jax.jit(theirs.init)(jax.random.key(1), x)
    np.testing.assert_allclose(
        jax.jit(ours.apply)(params, x), jax.jit(theirs.apply)(params, x), atol=1e-5
    )


@pytest.mark.parametrize(
    ("changed", "dimension", "message"),
    [
        ({}, 767, "767 coordinates are no square images of 3 colours"),
        ({}, 3 * 64 * 64, "leaves 7 x 7 pixels of 1 channels"),
        ({"channels": [16, 16, 32, 2]}, 768, "1 as the last of `channels`"),
        ({"kernels": [4, 4, 3, 2]}, 768, r"kernels\[2\] = 3 is no multiple of strides\[2\] = 2"),
        ({"strides": [2, 2, 2]}, 768, "3 strides; expected one of each"),
        ({"colour_std": [1.0]}, 768, "3 values of colour_mean and 1 of colour_std"),
    ],
)
def test_what_does_not_fit_is_refused(changed, dimension, message):
    with pytest.raises(InputError, match=message):
        potentials.make(SMALL | changed, dimension)
