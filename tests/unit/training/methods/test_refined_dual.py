"""The refined dual: the plain one without its additions, and what each addition does."""

import re
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.unit import settings

from w2dual.conformance.cell import Drawn
from w2dual.records import InputError
from w2dual.training import methods
from w2dual.training.methods.refined_dual import RefinedDual, features

N, SEEDS, STEPS = 2, 2, 8


def cell(**own: Any) -> dict[str, Any]:
    """Settings of a small cell; own settings of the method, or none for the plain dual."""
    given: dict[str, Any] = {
        "potential": {"kind": "mlp", "activation": "elu", "hidden": [8, 8]},
        "amortization_model": {"kind": "mlp_skip", "activation": "elu", "hidden": [8, 8]},
        "amortization": {"kind": "regression"},
        "solver": settings.solver(),
        "training": settings.training(batch_size=16, iterations=STEPS, learning_rate=1e-2),
    }
    return {**given, "method": {"kind": "refined_dual", **own}} if own else given


def made(**own: Any) -> RefinedDual:
    found = methods.make(cell(**own), N)
    assert isinstance(found, RefinedDual)
    return found


def trained(method: Any, steps: int = STEPS) -> list[Any]:
    """Return the states from the start on; the points of a step depend on the step alone."""
    keys = jax.random.split(jax.random.key(0), SEEDS)
    trees = {}
    for number, (name, network) in enumerate(method.networks.items()):
        own = jax.vmap(lambda key, number=number: jax.random.fold_in(key, number))(keys)
        if network.start_from is not None:
            before, copy = network.start_from
            trees[name] = copy(trees[before])
        else:
            trees[name] = jax.vmap(network.init)(own, jnp.ones((SEEDS, 3, N)))
    states = [method.init(method.assemble(trees))]

    @jax.jit
    def step(state: Any) -> Any:
        return method.update(state, Drawn(keys, state.step, jnp.ones(SEEDS))).state

    for _ in range(steps):
        states.append(step(states[-1]))
    return states


@cache
def plain() -> list[Any]:
    """Networks of the plain dual, step by step."""
    return [state.params for state in trained(methods.make(cell(), N))]


def same(found: Any, expected: Any, rtol: float, atol: float) -> None:
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=rtol, atol=atol)


def test_without_additions_it_is_the_plain_dual():
    """With the average of the last networks alone, which are those that are trained."""
    last = trained(made(optimizer="adamw"))[-1].params
    same(last.trained, plain()[-1], rtol=0, atol=0)
    same(last.average, plain()[-1], rtol=1e-6, atol=1e-7)


def test_the_exponential_average():
    expected = plain()[0]
    for networks in plain()[1:]:
        expected = jax.tree.map(lambda old, new: 0.75 * old + 0.25 * new, expected, networks)
    last = trained(made(decay=0.75))[-1].params
    same(last.trained, plain()[-1], rtol=0, atol=0)
    same(last.average, expected, rtol=1e-4, atol=1e-6)


def test_the_even_average_is_over_the_last_part():
    """Of half of eight steps: the networks after steps 5 to 8, each as much."""
    expected = jax.tree.map(lambda *leaves: sum(leaves) / 4, *plain()[5:])
    same(trained(made(tail=0.5))[-1].params.average, expected, rtol=1e-4, atol=1e-6)


def test_maps_are_those_of_the_average():
    method = made(decay=0.75)
    params = trained(method, 3)[-1].params
    x = jax.random.normal(jax.random.key(1), (SEEDS, 5, N))
    other = params._replace(potential=params.average_potential, model=params.average_model)
    same(method.push(params, x), method.push(other, x), rtol=0, atol=0)
    assert not np.allclose(
        method.push(params, x), method.early.push(params.trained, x), rtol=1e-4, atol=1e-4
    )


def test_the_last_part_takes_more_points_and_a_tighter_tolerance():
    """The first part is the plain dual's. Two batches have a gradient between those of each."""
    method = made(late=0.5, late_batches=2, late_tolerance=1e-3)
    states = trained(method)
    same(states[4].params.trained, plain()[4], rtol=0, atol=0)
    changed = [
        not np.array_equal(a, b)
        for a, b in zip(
            jax.tree.leaves(states[5].params.trained), jax.tree.leaves(plain()[5]), strict=True
        )
    ]
    assert all(changed)
    assert (method.early.solver.gradient_tolerance, method.solver.gradient_tolerance) == (0.1, 1e-3)

    params, known, step = states[4].params.trained, states[4].known, states[4].step
    batches = Drawn(jax.random.split(jax.random.key(0), SEEDS), step, jnp.ones(SEEDS))
    joint, *_ = jax.jit(
        lambda: method._gradients(method.late, 2, params, known, step, batches, None)
    )()
    alone = jax.jit(lambda x, y: method.late.gradients(params, methods.Given(x, y), None)[0])
    each = [alone(batches.source(index), batches.target(index)) for index in range(2)]
    same(joint, jax.tree.map(lambda a, b: (a + b) / 2, *each), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("kind", ["squares", "products"])
def test_a_calibrated_batch_has_the_known_means(kind: str):
    method = made(calibration=kind)
    points = jax.random.normal(jax.random.key(3), (SEEDS, 64, 3)) * 2 + 1
    number = features(points, kind).shape[-1]
    assert number == {"squares": 6, "products": 9}[kind]
    known = jnp.mean(features(points, kind), axis=1) + 0.02
    step = jnp.asarray(9)  # nine batches are behind: the tenth moves what is known by a tenth
    weights, after = method._calibrated(points, known, step, None)
    mean = jnp.mean(features(points, kind), axis=1)
    np.testing.assert_allclose(after, known + (mean - known) / 10, rtol=1e-5)
    np.testing.assert_allclose(jnp.mean(weights, axis=1), 1.0, rtol=1e-5)
    weighted = jnp.mean(weights[..., None] * features(points, kind), axis=1)
    np.testing.assert_allclose(weighted - mean, after - mean, rtol=2e-2, atol=1e-5)


def test_calibration_takes_the_noise_out_of_what_the_features_explain():
    """The mean of a quadratic function is exact; of a smooth one most of the noise goes."""
    method = made(calibration="products")
    points = jax.random.normal(jax.random.key(4), (400, 64, N))
    truth = jnp.array([0.0, 0.0, 1.0, 0.0, 1.0])
    weights, _ = method._calibrated(points, jnp.tile(truth, (400, 1)), jnp.asarray(10**6), None)

    def noise(values: jax.Array) -> tuple[float, float]:
        return (
            float(jnp.std(jnp.mean(values, axis=1))),
            float(jnp.std(jnp.mean(weights * values, axis=1))),
        )

    plainly, calibrated = noise(points[..., 0] ** 2 - points[..., 0] * points[..., 1])
    assert calibrated < 1e-2 * plainly
    plainly, calibrated = noise(jnp.exp(0.5 * points[..., 0]))
    assert calibrated < 0.4 * plainly


@pytest.mark.parametrize(
    ("own", "words"),
    [
        ({"optimizer": "sgd"}, "`settings.method.optimizer` is 'sgd'; expected one of adamw, muon"),
        ({"calibration": "cubes"}, "expected one of none, squares, products, auto"),
        ({"decay": 1.0}, "`settings.method.decay` is 1.0; expected a number from 0 to below 1"),
        ({"decay": 0.9, "tail": 0.1}, "has `decay` and `tail`; expected one of them"),
        ({"late": 0.1, "late_batches": 0}, "`settings.method.late_batches` is 0"),
        ({"late_tolerance": 0.1}, "`late` says of which part"),
        ({"speed": 1}, "unknown key `speed`"),
    ],
)
def test_wrong_settings(own: dict[str, Any], words: str):
    with pytest.raises(InputError, match=re.escape(words)):
        made(**own)


@pytest.mark.parametrize(("n", "kind"), [(2, "products"), (3, "squares")])
def test_products_are_for_batches_that_are_large_enough(n: int, kind: str):
    """Of 20 points: 5 features in the plane are a quarter, 9 in space are more."""
    small = cell(calibration="auto")
    method = methods.make({**small, "training": small["training"] | {"batch_size": 20}}, n)
    assert isinstance(method, RefinedDual)
    assert method.settings.calibration == kind
