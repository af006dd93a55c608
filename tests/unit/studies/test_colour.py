"""Fine-tuning on held-out pairs: values that are bounds, slopes, and images that are recoloured."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from tests.unit.training.methods.test_meta_w2gn import OWN, TRAINING

from w2dual import conjugate
from w2dual.config.cells import Cell
from w2dual.evaluation.kinds import meta_color
from w2dual.measures.colour.drawn import draw
from w2dual.measures.colour.pictures import Picture
from w2dual.measures.pairs import palettes
from w2dual.measures.preparation.palettes import prepare
from w2dual.potentials.quadratic_icnn import QuadraticICNN
from w2dual.records import InputError, load_arrays, save_arrays, write_json
from w2dual.results.meta_color import read_study
from w2dual.studies import colour
from w2dual.studies.colour import Potentials, Problem, Settings, Tuning, gaussian_potentials
from w2dual.studies.recolouring import pushed, recolour
from w2dual.training import methods
from w2dual.training.files import save_params

LAW = {"sources": ["drawn"], "folder": None, "paintings": None, "drawn": 3, "pixels": 200}
LAW |= {"points": 8, "bins": 2, "side": 8, "held_out": 2, "test_points": 24, "seed": 0}
SOLVER = {"kind": "lbfgs", "history": 10, "gradient_tolerance": 1e-3, "max_iterations": 100}
SOLVER |= {"decrease_tolerance": 2.2e-9, "armijo": 1e-4, "shrink": 1.5, "trials": 30}
SOLVER |= {"line_search": "sequential", "curvature": "positive"}
FINE = {"steps": 20, "log_every": 10, "batch_size": 16, "learning_rate": 1e-2, "seed": 0}
FINE |= {"identity_iterations": 5, "cube_weight": 1000.0, "solver": SOLVER}
Study = Callable[..., tuple[dict[str, np.ndarray], dict[str, Any]]]
ICNN = QuadraticICNN(width=4)


@pytest.fixture(scope="module")
def law() -> palettes.Palettes:
    return palettes.from_arrays(*prepare("palettes", LAW | {"encoding": "histogram"}))


@pytest.fixture(scope="module")
def tuning(law: palettes.Palettes) -> Tuning:
    solver = conjugate.make(SOLVER)
    assert solver is not None
    return Tuning(Problem(ICNN, Settings(**FINE), solver, 3.0, 1e-6), law)


def some(seed: int) -> jnp.ndarray:
    """Parameters of each pair, near the identity."""
    numbers = np.random.default_rng(seed).normal(0.0, 0.3, (2, ICNN.parameters))
    identity = ICNN.affine(jnp.eye(3), jnp.zeros(3))
    return jnp.asarray(numbers, jnp.float32) + identity[None, :]


def test_a_value_is_the_bound_of_converged_conjugates(tuning: Tuning, law: palettes.Palettes):
    """Against the best of a dense grid of the cube, which can be no better than the solver."""
    psi = some(0)
    found = tuning.value(psi)
    x, y = (np.asarray(end, np.float64) / 255 for end in (law.test_source, law.test_target))
    axis = np.linspace(0, 1, 41)
    grid = np.stack(np.meshgrid(axis, axis, axis), axis=-1).reshape(-1, 3)
    for pair in range(2):
        at_x, at_grid = (
            np.asarray(ICNN.value(psi[pair], jnp.asarray(points, jnp.float32)), np.float64)
            for points in (x[pair], grid)
        )
        conjugates = np.max(y[pair] @ grid.T - at_grid, axis=-1)
        norms = np.mean(np.sum(x[pair] ** 2, -1)) + np.mean(np.sum(y[pair] ** 2, -1))
        wanted = norms - 2 * (at_x.mean() + conjugates.mean())
        assert float(found.bound[pair]) == pytest.approx(wanted, abs=4e-3)
        assert float(found.bound[pair]) <= law.exact[pair] + 1e-6


def test_no_potential_is_above_the_exact_cost_and_the_identity_is_at_0(
    tuning: Tuning, law: palettes.Palettes
):
    for seed in range(3):
        assert (np.asarray(tuning.value(some(seed)).bound) <= law.exact + 1e-6).all()
    identity = jnp.tile(ICNN.affine(jnp.eye(3), jnp.zeros(3)), (2, 1))
    np.testing.assert_allclose(tuning.value(identity).bound, 0.0, atol=2e-6)
    x, y = tuning.points
    np.testing.assert_allclose(meta_color.bound_on_samples(ICNN, some(1), x, x), 0.0, atol=0.2)
    by_samples = meta_color.bound_on_samples(ICNN, some(1), x, y)
    assert (np.asarray(by_samples) >= np.asarray(tuning.value(some(1)).bound) - 1e-6).all()


def test_w2gn_and_our_solver_both_come_nearer(tuning: Tuning, law: palettes.Palettes):
    start = Potentials(some(2), some(3))
    runs = {
        name: tuning.run(name, slopes, start)
        for name, slopes in (("w2gn", tuning.problem.w2gn), ("lbfgs", tuning.problem.lbfgs))
    }
    for found in runs.values():
        assert found.bounds.shape == (2, 3)
        assert (found.bounds[:, -1] > found.bounds[:, 0]).all()
        assert found.seconds[0] == 0
        assert (np.diff(found.seconds) > 0).all()
    # Each value is of the parameters after so many updates, not of the log before.
    ended = tuning.value(runs["w2gn"].potentials.psi).bound
    np.testing.assert_allclose(runs["w2gn"].bounds[:, -1], ended, rtol=1e-6)


def test_the_dual_s_slope_is_that_of_the_bound(tuning: Tuning):
    """Danskin: of -bound / 2, which is E psi + E psi* but for a constant."""
    x, y = tuning.points
    psi = some(4)
    slopes = jax.jit(tuning.problem.lbfgs)(Potentials(psi, some(5)), x, y).psi

    def bound(psi: jnp.ndarray) -> np.ndarray:
        return np.asarray(tuning.value(psi).bound, np.float64)

    direction = np.random.default_rng(6).normal(size=ICNN.parameters).astype(np.float32)
    step = 2e-3 * direction[None, :]
    change = -(bound(psi + step) - bound(psi - step)) / 2 / 2
    np.testing.assert_allclose(change, 2e-3 * np.asarray(slopes) @ direction, rtol=0.1, atol=2e-4)


def test_the_gaussian_map_moves_the_moments(law: palettes.Palettes):
    psi = gaussian_potentials(ICNN, law).psi[0]
    source, target = (np.asarray(law.pixels[i]) / 255.0 for i in np.asarray(law.test_pairs[0]))
    moved = np.asarray(ICNN.gradient(psi, jnp.asarray(source, jnp.float32)))
    np.testing.assert_allclose(moved.mean(axis=0), target.mean(axis=0), atol=1e-3)
    np.testing.assert_allclose(np.cov(moved.T), np.cov(target.T), atol=1e-3)


def cell_of_seeds(dimension: int, *seeds: int) -> Cell:
    settings = {"method": OWN | {"residual": "gaussian"}, "training": TRAINING, "seeds": [*seeds]}
    settings |= {"pretraining": {"iterations": 1, "learning_rate": 1.0, "bound": 1.0}}
    settings["pretraining"] |= {"tolerance": 1.0, "min_iterations": 1}
    settings |= {"evaluation": {"samples": 24, "history_every": 1, "history_samples": 24}}
    settings |= {"logging": {"every": 1}}
    return Cell("c", "palettes_histogram", dimension, "own", "meta", "none", settings)


class Untuned:
    """Stands in for `Tuning`, which compiles: each run ends where it starts."""

    def __init__(self, problem: Problem, pair: palettes.Palettes) -> None:
        """Take the number of pairs and of logs."""
        logs = problem.settings.steps // problem.settings.log_every + 1
        self.shape = len(pair.test_pairs), logs

    def value(self, psi: jnp.ndarray) -> colour.Value:
        return colour.Value(jnp.ones(self.shape[0]), jnp.ones(self.shape[0]))

    def run(self, name: str, slopes: Any, start: Potentials) -> colour.Run:
        return colour.Run(np.ones(self.shape), np.ones(self.shape), np.ones(self.shape[1]), start)


@pytest.fixture
def studied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    """Run the study of a cell of the seeds 4, 5 and 6 by their statuses."""
    arrays, metadata = prepare("palettes", LAW | {"encoding": "histogram"})
    paths = {name: tmp_path / name for name in ("params", "metrics", "measures", "out")}
    law = palettes.from_arrays(arrays, metadata)
    save_arrays(paths["measures"], arrays, metadata)
    cell = cell_of_seeds(int(metadata["dimension"]), 4, 5, 6)
    made = methods.make(cell.settings, cell.dimension)
    shapes = jax.eval_shape(
        made.networks["network"].init, jax.random.key(0), jnp.zeros((1, cell.dimension))
    )
    # A seed's parameters are its place.
    tree = jax.tree.map(
        lambda leaf: np.stack([np.full(leaf.shape, i, np.float32) for i in range(3)]), shapes
    )
    save_params(paths["params"], made.assemble({"network": tree}), cell)

    def predicted(method: Any, params: Any, pair: palettes.Palettes) -> tuple[Potentials, float]:
        place = float(jax.tree.leaves(params)[0].ravel()[0])
        vector = jnp.full((len(pair.test_pairs), 2), place)
        return Potentials(vector, vector), 0.5

    monkeypatch.setattr(colour, "Tuning", Untuned)
    monkeypatch.setattr(colour, "predicted", predicted)
    monkeypatch.setattr(colour, "identity_start", lambda *given: jnp.zeros(2))

    def run(*statuses: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        seeds = [{"seed": 4 + i, "status": status} for i, status in enumerate(statuses)]
        record = {"cell": cell.to_json(), "preset": {"name": "p", "reduced": True}, "seeds": seeds}
        write_json(paths["metrics"], record)
        colour.run(paths["params"], paths["metrics"], paths["measures"], FINE, paths["out"])
        assert len(law.test_pairs) == 2
        return read_study(paths["out"])

    return run


def test_a_study_says_which_seed_it_is_of(studied: Study):
    arrays, facts = studied("diverged", "finished", "finished")
    assert (facts["seed"], facts["seeds"], facts["diverged"]) == (5, [4, 5, 6], [4])
    assert (arrays["meta.psi"] == 1).all()
    arrays, facts = studied("finished", "finished", "diverged")
    assert (facts["seed"], facts["diverged"]) == (4, [6])
    assert (arrays["meta.psi"] == 0).all()


def test_parameters_that_are_cut_to_a_seed_are_still_of_a_cell_of_three(
    studied: Study, tmp_path: Path
):
    arrays, metadata = load_arrays(tmp_path / "params")
    cut = {name: array[1:2] for name, array in arrays.items()}
    save_arrays(tmp_path / "params", cut, metadata | {"seeds": [5]})
    arrays, facts = studied("diverged", "finished", "finished")
    assert (facts["seed"], facts["seeds"], facts["diverged"]) == (5, [4, 5, 6], [4])
    assert (arrays["meta.psi"] == 1).all()
    with pytest.raises(InputError, match="has no seed 4, which .* names; it has 5"):
        studied("finished", "finished", "finished")


def test_a_study_of_a_cell_whose_seeds_all_diverged_has_what_needs_no_network(studied: Study):
    arrays, facts = studied("diverged", "diverged", "diverged")
    assert (facts["seed"], facts["diverged"], facts["prediction_s"]) == (None, [4, 5, 6], None)
    assert {"w2gn.bounds", "w2gn.psi", "gaussian.psi", "identity.bounds"} <= arrays.keys()
    assert not [name for name in arrays if name.startswith("meta")]


def test_two_images_are_recoloured(tmp_path: Path):
    cell = cell_of_seeds(dimension := 2 + 2**3 + 3 * 6, 4)
    made = methods.make(cell.settings, dimension)
    keys, zeros = jax.random.key(0)[None], jnp.zeros((1, 1, dimension))
    init = made.networks["network"].init
    params = made.assemble({"network": jax.jit(jax.vmap(init))(keys, zeros)})
    save_params(tmp_path / "params.safetensors", params, cell)
    paths = []
    for name, picture in zip(("a", "b"), draw(2, 1), strict=True):
        pixels = picture.pixels[:20, :30]
        paths.append(tmp_path / f"{name}.png")
        Image.fromarray(pixels).save(paths[-1])
    rest: dict[str, Any] = {
        "params": tmp_path / "params.safetensors",
        "settings": FINE,
        "out": tmp_path / "out",
    }
    moved = recolour(paths[0], paths[1], **rest)
    assert moved.source.name == "a_to_b.png"
    assert moved.gap_percent == pytest.approx(moved.gaussian_gap_percent, abs=15)  # by design
    means = [np.asarray(Image.open(path)).mean(axis=(0, 1)) for path in (*paths, moved.source)]
    assert np.asarray(Image.open(moved.source)).shape == (20, 30, 3)
    assert np.linalg.norm(means[2] - means[1]) < 0.3 * np.linalg.norm(means[0] - means[1])
    with pytest.raises(InputError, match="has no seed 5; it has 4"):
        recolour(paths[0], paths[1], seed=5, **rest)
    seeds = [{"seed": 4, "status": "diverged"}]
    write_json(tmp_path / "metrics.json", {"cell": cell.to_json(), "seeds": seeds})
    with pytest.raises(InputError, match="all seeds have diverged"):
        recolour(paths[0], paths[1], **rest)
    with pytest.raises(InputError, match="no such image"):
        recolour(tmp_path / "absent.png", paths[1], **rest)
    (tmp_path / "metrics.json").unlink()
    lost = jax.tree.map(lambda leaf: jnp.full_like(leaf, jnp.nan), params)
    save_params(rest["params"], lost, cell)
    with pytest.raises(InputError, match="bounds are not finite .* the cell has diverged"):
        recolour(paths[0], paths[1], **{**rest, "out": tmp_path / "lost"})
    assert not (tmp_path / "lost").exists()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "a_to_b.png",
        "b_to_a.png",
    ]


def test_a_colour_that_is_not_finite_is_refused():
    class Overflowing(QuadraticICNN):
        def gradient(self, vector: Any, x: Any) -> Any:
            return jnp.where(x > 0.5, vector, x)

    pixels = np.zeros((3, 4, 3), np.uint8)
    pixels[1, 2:] = 255
    picture = Picture("a.png", pixels, np.ones((3, 4), bool))
    for lost in (jnp.nan, jnp.inf):
        with pytest.raises(InputError, match=r"a.png: 2 of 12 pixels .* in row 1, column 2"):
            pushed(Overflowing(width=4), jnp.float32(lost), picture)
