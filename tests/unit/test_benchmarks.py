"""The comparison in benchmarks/: its counts, its plain loop, its tables; no library beside ours."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.unit import settings

from benchmarks import counts, render, run, timing
from benchmarks.contestants.plain_lbfgs import minimise
from benchmarks.contestants.plain_networks import POTENTIALS, PlainModel
from w2dual import amortization, conjugate, potentials
from w2dual.measures.benchmark import icnn_dense
from w2dual.records import InputError

N, HIDDEN = 3, [8, 6, 5]
LBFGS = settings.solver(gradient_tolerance=0.01)


@pytest.fixture(autouse=True)
def _as_others_write():
    """The plain loop adds a bias to a batch without spelling out the axis."""
    with jax.numpy_rank_promotion("allow"):
        yield


def network(kind: str) -> Any:
    extra = {"actnorm": True} if kind == "icnn" else {}
    return potentials.make({"kind": kind, "hidden": HIDDEN, "activation": "elu", **extra}, N)


def trained(kind: str) -> tuple[Any, Any]:
    """A potential with parameters, the biases of which are not 0."""
    x = jax.random.normal(jax.random.key(0), (64, N))
    params = jax.jit(network(kind).init)(jax.random.key(1), x)["params"]
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(2), len(leaves))
    moved = [
        leaf + 0.3 * jax.random.normal(key, leaf.shape)
        for leaf, key in zip(leaves, keys, strict=True)
    ]
    return network(kind), jax.tree.unflatten(tree, moved)


def products(function: Callable[..., Any], *arguments: Any) -> int:
    """Multiply-adds of all matrix products in a function, read from its traced program."""

    def walk(program: Any) -> int:
        total = 0
        for equation in program.eqns:
            if equation.primitive.name == "dot_general":
                contracted = equation.params["dimension_numbers"][0][0]
                shape = equation.invars[0].aval.shape
                inner = int(np.prod([shape[axis] for axis in contracted]))
                total += inner * int(np.prod(equation.outvars[0].aval.shape))
            for value in equation.params.values():
                inner_program = getattr(value, "jaxpr", value)
                if hasattr(inner_program, "eqns"):
                    total += walk(inner_program)
        return total

    return walk(jax.make_jaxpr(function)(*arguments).jaxpr)


def test_counts_by_hand():
    mlp = counts.potential("mlp", 2, [4, 3])
    assert mlp == counts.Products(forward=2 * 4 + 4 * 3 + 3 * 1, of_input=8, units=8)
    icnn = counts.potential("icnn", 2, [4, 3])
    # W^x: to 4, 3 and 1 units; W^z: 4 to 3, 3 to 1.
    assert icnn == counts.Products(2 * (4 + 3 + 1) + 4 * 3 + 3 * 1, 2 * (4 + 3 + 1), 8)
    assert counts.amortization_model(2, [4, 3]).forward == 2 * 4 + 4 * 3 + 3 * 2


@pytest.mark.parametrize("kind", ["mlp", "icnn"])
def test_counts_are_those_of_the_traced_programs(kind: str):
    batch = 7
    module, params = trained(kind)
    x = jnp.ones((batch, N))
    expected = counts.potential(kind, N, HIDDEN)

    evaluation = partial(potentials.value_and_gradient, module)
    assert products(evaluation, params, x) == batch * expected.value_and_gradient

    loss = jax.value_and_grad(lambda p, x: jnp.mean(potentials.value(module, p, x)))
    assert products(loss, params, x) == batch * expected.parameter_gradient


def test_counts_of_the_ground_truth():
    weights = icnn_dense.init(jax.random.key(0), N)
    found = products(lambda x: icnn_dense.values(weights, 0.01, x), jnp.ones((5, N)))
    assert found == 5 * counts.dense_icnn(N)


def test_counts_of_a_step_are_the_sum_of_its_parts():
    sizes: dict[str, Any] = {
        "batch": 10,
        "evaluations": 2.5,
        "lanes": 5,
        "components": 3,
        "potential_parameters": 100,
        "model_parameters": 100,
    }
    record = counts.step("mlp", 2, [4, 3], **sizes).to_json()
    assert record["conjugation_flop"] == 2 * 10 * 2.5 * 2 * 23
    assert record["updates_flop"] == 2 * 10 * (2 * (3 * 23 - 8) + 3 * 26 - 8)
    parts = ("conjugation", "updates", "ground_truth", "sampling")
    assert record["flop"] == sum(record[f"{part}_flop"] for part in parts)
    with pytest.raises(InputError, match="conv"):
        counts.potential("conv", 2, [4])


@pytest.mark.parametrize("kind", ["mlp", "icnn"])
def test_plain_networks_are_ours(kind: str):
    module, params = trained(kind)
    x = jax.random.normal(jax.random.key(3), (16, N))
    plain = POTENTIALS[kind](HIDDEN)
    # Another order of the same operations, and expm1 for exp - 1: some roundings of 6e-8.
    np.testing.assert_allclose(
        jnp.asarray(plain.apply({"params": params}, x)),
        potentials.value(module, params, x),
        rtol=2e-6,
    )
    model = amortization.make_model({"kind": "mlp_skip", "hidden": HIDDEN, "activation": "elu"}, N)
    model_params = jax.jit(model.init)(jax.random.key(4), x)
    np.testing.assert_allclose(
        jnp.asarray(PlainModel(HIDDEN).apply(model_params, x)),
        jnp.asarray(model.apply(model_params, x)),
        atol=1e-6,
    )


@pytest.mark.parametrize("kind", ["mlp", "icnn"])
def test_plain_conjugates_are_ours(kind: str):
    module, params = trained(kind)
    y = jax.random.normal(jax.random.key(5), (32, N))
    plain = POTENTIALS[kind](HIDDEN)

    @jax.jit
    @jax.vmap
    def solve(y: jax.Array) -> Any:
        return minimise(lambda x: jnp.asarray(plain.apply({"params": params}, x)) - x @ y, y, LBFGS)

    x, iterations = solve(y)

    def oracle(points: jax.Array) -> tuple[jax.Array, jax.Array]:
        value, gradient = potentials.value_and_gradient(module, params, points[0])
        return value[None], gradient[None]

    solver = conjugate.make(LBFGS)
    assert solver is not None
    ours = conjugate.solve(solver, oracle, y[None], y[None])
    assert int(jnp.max(iterations)) > 2, "too easy to show anything"
    # The same iterates up to rounding, which a step or two of the search carries on.
    apart = np.max(np.abs(np.asarray(ours.x[0] - x)), axis=1)
    assert np.median(apart) < 1e-5
    assert np.mean(np.asarray(iterations) == np.asarray(ours.iterations[0])) > 0.9


def test_every_contestant_has_its_turn_in_each_repetition():
    order: list[str] = []

    def block(name: str, units: int) -> float:
        order.append(name)
        return 0.25 * units if name == "b" else 0.125 * units

    turns = [timing.Turn(name, partial(block, name), 0.0, 4, []) for name in "ab"]
    timing.interleave(turns, 3)
    assert order == ["a", "b"] * 3
    summary = timing.summary(turns[1], turns[0])
    assert summary["ms"] == {"median": 250.0, "min": 250.0, "max": 250.0}
    assert summary["ratio"]["median"] == 2.0


def test_a_slow_contestant_has_few_turns():
    slow = timing.Turn("slow", lambda units: 60.0 * units, 0.0, 1, [])
    timing.interleave([slow], 5)
    assert len(slow.milliseconds) == timing.SLOW_REPETITIONS


def record() -> dict[str, Any]:
    def times(median: float) -> dict[str, Any]:
        spread = {"median": median, "min": 0.9 * median, "max": 1.1 * median}
        return {
            "first_call_s": 1.0,
            "ms": spread,
            "ratio": {key: value / 7.5 for key, value in spread.items()},
            "iterations_mean": 1.5,
            "iterations_max": 6,
            "gradient_norm_median": 0.05,
            "gradient_norm_max": 0.2,
            "converged_percent": 99.5,
        }

    sizes: dict[str, Any] = {
        "batch": 1024,
        "evaluations": 2.5,
        "lanes": 128,
        "components": 3,
        "potential_parameters": 7000,
        "model_parameters": 7000,
    }
    operations = counts.step("mlp", 2, [64, 64, 32], **sizes).to_json()
    return {
        "format": 1,
        "quick": False,
        "repetitions": 5,
        "threads": 2,
        "cores": 2,
        "provenance": {
            "device": "CPU: a processor",
            "git_commit": "abc",
            "python": "3.11",
            "started": "2026-01-01T00:00:00+00:00",
            "packages": {"jax": "1.2.3"},
        },
        "machine": {
            "threads": 2,
            "one_thread_gflops": {"1024x64x64": 100.0},
            "all_threads_gflops": {"1024x64x64": 200.0},
        },
        "cases": [
            {
                "dimension": 2,
                "potential": "mlp",
                "hidden": [64, 64, 32],
                "pair": "published",
                "batch_size": 1024,
                "warmup_steps": 1500,
                "steps": {"all_cores": times(7.5), "plain": times(1234.5)},
                "conjugations": {"ours": times(2.5), "optimistix": times(55.0)},
                "counts": operations
                | {"evaluations_mean": 2.5, "gflops": 40.0, "fraction_of_peak": 0.2},
            }
        ],
    }


def test_render_writes_tables_between_the_markers_and_a_figure(tmp_path: Path):
    source, document = tmp_path / "r.json", tmp_path / "docs" / "performance.md"
    source.write_text(json.dumps(record()))
    document.parent.mkdir()
    document.write_text(f"# Title\n\nBefore.\n\n{render.BEGIN}\nold\n{render.END}\n\nAfter.\n")

    assert render.main([str(source), "--document", str(document)]) == 0
    text = document.read_text()
    assert text.startswith("# Title\n\nBefore.\n")
    assert text.endswith("After.\n")
    assert "old" not in text
    assert (
        "| 2, MLP | w2dual, all cores | 7.50 (6.75 to 8.25) | 1.00 (0.900 to 1.10) | 1.50 | 1.00 |"
        in text
    )
    assert "| 2, MLP | plain loop | 1,234 (1,111 to 1,358) |" in text
    assert "| 40.0 | 20 |" in text
    figure = document.with_suffix(".svg")
    first = figure.read_bytes()
    assert b"<svg" in first

    assert render.main([str(source), "--document", str(document)]) == 0
    assert document.read_text() == text
    assert figure.read_bytes() == first


def test_render_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    source, document = tmp_path / "r.json", tmp_path / "performance.md"
    assert render.main([str(source), "--document", str(document)]) == 2
    assert "no such file" in capsys.readouterr().err
    source.write_text("{}")
    assert render.main([str(source), "--document", str(document)]) == 2
    assert "is not a record" in capsys.readouterr().err
    source.write_text(json.dumps(record()))
    document.write_text("# No markers\n")
    assert render.main([str(source), "--document", str(document)]) == 2
    assert render.BEGIN in capsys.readouterr().err
    assert not document.with_suffix(".svg").exists()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--contestants", "ours,theirs"], "theirs"),
        (["--dimensions", "two"], "two"),
        (["--repetitions", "0"], "repetitions"),
        (["--dimensions", "3", "--contestants", "ours"], "n = 3"),
    ],
)
def test_run_refuses_what_it_cannot_use(
    arguments: list[str], named: str, capsys: pytest.CaptureFixture[str]
):
    assert run.main(arguments) == 2
    assert named in capsys.readouterr().err
