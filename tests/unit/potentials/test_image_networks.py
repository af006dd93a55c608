"""The benchmark's networks on images against values of PyTorch, and what dropping does."""

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.unit.measures.celeba64 import formula

from w2dual import potentials
from w2dual.amortization import models
from w2dual.backend import jit
from w2dual.measures.celeba64 import icnn_conv
from w2dual.potentials import torch_layers
from w2dual.records import InputError

SIZE = 16
N = 3 * SIZE**2
RESNET = {"kind": "resnet", "filters": 8, "max_filters": 32}
UNET = {"kind": "unet", "base": 4}
CONV_ICNN = {"kind": "conv_icnn", "widths": [8, 16, 32, 64], "strong_convexity": 0.01}
BLOCK = ("conv_0.weight", "conv_0.bias", "conv_1.weight", "conv_1.bias", "conv_s.weight")
NORM = ("weight", "bias", "running_mean", "running_var")


def shapes_of(module: Any, n: int = N) -> dict[str, dict[str, Any]]:
    """Return the shapes of a network's parameters, and of its running statistics."""
    return dict(jax.eval_shape(module.init, jax.random.key(0), jnp.zeros((2, n), jnp.float32)))


def at(tree: Any, path: str) -> Any:
    for name in path.split("."):
        tree = tree.get(name) if isinstance(tree, Mapping) else None
    return tree


def filled(module: Any, order: list[str], dtype: type) -> dict[str, Any]:
    """Fill a network by the formula, its tensors in the order of PyTorch's state dict."""
    trees = shapes_of(module)
    places = [(part, path) for path in order for part in trees if at(trees[part], path) is not None]
    assert len(places) == len(jax.tree.leaves(trees))
    shapes = {path: at(trees[part], path).shape for part, path in places}
    tensors = formula.generator_tensors(shapes)
    made: dict[str, Any] = {}
    for part, path in places:
        *way, last = path.split(".")
        folder = made.setdefault(part, {})
        for name in way:
            folder = folder.setdefault(name, {})
        folder[last] = jnp.asarray(tensors[path], dtype)
    return made


def resnet_order() -> list[str]:
    blocks = [f"resnet_{k}.{name}" for k in (0, 1, 3, 4, 6, 7) for name in BLOCK]
    return ["conv_img.weight", "conv_img.bias", *blocks, "fc.weight", "fc.bias"]


def unet_order() -> list[str]:
    stages = ["inc", *(f"down{i}" for i in range(1, 5)), *(f"up{i}" for i in range(1, 5))]
    found = []
    for stage in stages:
        for place in (0, 3):
            layer = f"{stage}.double_conv_{place}"
            found += [f"{layer}.weight", f"{layer}.bias"]
            found += [f"{stage}.double_conv_{place + 1}.{name}" for name in NORM]
    return [*found, "outc.weight", "outc.bias"]


def check_resnet(dtype: type, rtol: float) -> None:
    module = potentials.make(RESNET, N)
    params = filled(module, resnet_order(), dtype)["params"]
    x = jnp.asarray(formula.points(2, N), dtype)
    value, gradient = jax.jit(lambda p, x: potentials.value_and_gradient(module, p, x))(params, x)
    np.testing.assert_allclose(value, (126.20243, 127.42775), rtol=rtol)
    away = np.linalg.norm(np.asarray(gradient - x), axis=1)
    np.testing.assert_allclose(away, (0.17279367, 0.17242897), rtol=rtol)


def check_unet(dtype: type, rtol: float) -> None:
    module: Any = models.make_model(UNET, N)
    variables = filled(module, unet_order(), dtype)
    x = jnp.asarray(formula.points(2, N), dtype)

    @jax.jit
    def both(variables: Any, x: Any) -> Any:
        return module.apply(variables, x), module.apply(variables, x, True, mutable=["batch_stats"])

    still, (trained, moved) = both(variables, x)
    norm = np.linalg.norm
    np.testing.assert_allclose(norm(still, axis=1), (11.303903, 12.320485), rtol=rtol)
    np.testing.assert_allclose(norm(trained, axis=1), (28.366049, 27.108026), rtol=rtol)
    mean = at(moved, "batch_stats.inc.double_conv_1.running_mean")
    wanted = (-0.03866391, 0.00328400, -0.01223121)
    np.testing.assert_allclose(mean[:3], wanted, rtol=rtol, atol=5e-9)


def test_the_residual_network_is_pytorchs_in_float32():
    check_resnet(np.float32, 1e-4)


def test_the_u_net_is_pytorchs_in_float32():
    check_unet(np.float32, 1e-4)


@pytest.mark.parametrize("check", [check_resnet, check_unet])
def test_both_are_pytorchs_in_float64(check: Any):
    with jax.enable_x64(True):
        check(np.float64, 1e-6)


def test_the_published_networks_have_as_many_numbers():
    resnet = potentials.make({"kind": "resnet", "filters": 64, "max_filters": 512}, 12288)
    unet: Any = models.make_model({"kind": "unet", "base": 48}, 12288)
    icnn = CONV_ICNN | {"widths": [128, 256, 512, 1024], "dropout": 0.02}
    for module, numbers in (
        (resnet, 22_933_441),
        (unet, 9_715_827),
        (potentials.make(icnn, 12288), 11_247_105),
    ):
        leaves = jax.tree.leaves(shapes_of(module, 12288)["params"])
        assert sum(math.prod(leaf.shape) for leaf in leaves) == numbers


def test_the_residual_network_starts_near_the_identity():
    module = potentials.make(RESNET | {"filters": 2, "max_filters": 2}, 3 * 4**2)
    x = jnp.asarray(formula.points(4, 48))
    params = jit(module.init, once=True)(jax.random.key(0), x)["params"]
    found = potentials.gradient(module, params, x)
    assert 0 < float(jnp.mean((found - x) ** 2)) < 1e-2
    for name in ("weight", "bias"):
        bound = 1 / math.sqrt(27)
        drawn = np.abs(params["conv_img"][name])
        assert drawn.max() <= bound
        assert drawn.mean() > bound / 4


def test_the_running_variance_is_the_unbiased_one_and_moves_a_tenth_of_the_way():
    z = jax.random.normal(jax.random.key(0), (3, 2, 2, 2))
    norm = torch_layers.BatchNorm()
    ones, zeros = jnp.ones(2), jnp.zeros(2)
    variables = {
        "params": {"weight": ones, "bias": zeros},
        "batch_stats": {"running_mean": zeros, "running_var": ones},
    }
    moved: Any = norm.apply(variables, z, True, mutable=["batch_stats"])[1]
    wanted = 0.9 + 0.1 * np.var(np.asarray(z), axis=(0, 2, 3), ddof=1)
    np.testing.assert_allclose(moved["batch_stats"]["running_var"], wanted, rtol=1e-6)


def test_doubling_keeps_corners_and_one_pixel():
    z = jnp.arange(6.0).reshape(1, 1, 2, 3)
    found = torch_layers.doubled(z)[0, 0]
    assert found.shape == (4, 6)
    np.testing.assert_allclose(found[0], np.linspace(0, 2, 6), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(found[:, 0], np.linspace(0, 3, 4), rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(torch_layers.doubled(jnp.full((1, 1, 1, 1), 7.0)), 7.0)


def test_images_of_another_size_are_refused_in_words():
    with pytest.raises(InputError, match="resnet: images of side 12; expected 4, 8, 16"):
        potentials.make(RESNET, 3 * 12**2)
    with pytest.raises(InputError, match="unet: images of side 24; expected a multiple of 16"):
        models.make_model(UNET, 3 * 24**2)
    with pytest.raises(InputError, match="ConvICNN: images of side 24; expected a multiple of 16"):
        potentials.make(CONV_ICNN | {"dropout": 0.02}, 3 * 24**2)


def test_dropping_keeps_the_part_it_should_part_by_part():
    module: Any = potentials.make(CONV_ICNN | {"dropout": 0.25}, N)
    keys = jax.random.split(jax.random.key(0), 4)
    shape = (8, 16, 12, 12)
    kept = np.asarray(module._kept(keys, shape, jnp.float32))
    assert set(np.unique(kept)) == {0.0, np.float32(1 / 0.75)}
    np.testing.assert_allclose(kept.mean(), 1.0, atol=0.02)
    alone = module._kept(keys[1:2], (2, *shape[1:]), jnp.float32)
    np.testing.assert_array_equal(kept[2:4], alone)  # whoever else draws beside it


def test_only_training_drops_and_the_network_is_the_pairs_own():
    module: Any = potentials.make(CONV_ICNN | {"widths": [2, 2, 2, 2], "dropout": 0.1}, N)
    x = jnp.asarray(formula.points(4, N))
    drawn = np.random.default_rng(0)
    shapes = shapes_of(module)["params"]
    params = {
        name: jnp.asarray(drawn.normal(size=leaf.shape), "f4") for name, leaf in shapes.items()
    }
    params = module.project(params)
    assert min(float(jnp.min(params[f"convex.{i}"])) for i in range(3)) == 0.0
    assert float(jnp.min(params["final"])) == 0.0
    assert float(jnp.min(params["bias.0"])) < 0.0
    value = jax.jit(lambda keys: module.apply({"params": params}, x, keys))
    keys = jax.random.split(jax.random.key(1), 2)
    dropped, still = value(keys), potentials.value(module, params, x)
    own = icnn_conv.values(icnn_conv.assemble(params), 0.01, x)
    np.testing.assert_array_equal(still, own)
    assert np.all(dropped != still)
    np.testing.assert_array_equal(dropped, value(keys))
    assert np.any(value(jax.random.split(jax.random.key(2), 2)) != dropped)
