"""Densities, paths, overview and interpolation of small untrained cells and of closed forms."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.text import Text
from tests.unit.settings import plane_pair

from w2dual import rng
from w2dual.config.grid import cells_in
from w2dual.config.reader import load
from w2dual.evaluation.trained import Trained
from w2dual.measures import Pair
from w2dual.measures.pairs import images, synthetic
from w2dual.measures.preparation import images as preparation_of_images
from w2dual.measures.synthetic.laws import Gaussians
from w2dual.plots import density, interpolation, landscape, overview, style
from w2dual.records import InputError
from w2dual.training.methods.dual import Networks
from w2dual.training.methods.dual import make as make_problem

ROOT = Path(__file__).parents[3]
CONFIG = load([ROOT / "config.yaml", ROOT / "presets" / "smoke.yaml"])
SAMPLES = 64  # conjugated at: one number throughout, since each compiles the solver anew
METHOD = "regression-lbfgs_high_precision"


def measures(name: str) -> Pair:
    return plane_pair(name, CONFIG["measures"]["synthetic"][name])


def untrained(name: str, pair: Pair | None = None) -> Trained:
    """A cell with 8 units a layer, as it is initialised."""
    (cell,) = [c for c in cells_in("synthetic", CONFIG) if c.name == f"{name}-{METHOD}"]
    narrow = {"hidden": [8, 8]}
    small = {k: cell.settings[k] | narrow for k in ("potential", "amortization_model")}
    cell = dataclasses.replace(cell, settings=cell.settings | small)
    problem = make_problem(cell.settings, 2)
    points = jax.random.normal(rng.stream(0, "points"), (64, 2))

    def init(module, stream):
        params = jax.jit(module.init)(rng.stream(0, stream), points)["params"]
        return jax.tree.map(lambda leaf: leaf[None], params)

    params = Networks(init(problem.potential, "potential"), init(problem.model, "model"))
    record = {"preset": {"name": "smoke", "reduced": True}}
    return Trained(cell, record, 0, problem, params, pair or measures(cell.pair))


def quadratic(cell: Trained, curvature: float) -> Trained:
    """The cell with f(x) = curvature/2 |x|^2: the output unit is silenced."""
    potential = dict(cell.params.potential)
    potential["x_2"] = potential["x_2"] | {"bias": jnp.full((1, 1), -60.0)}
    potential["quadratic"] = {"log_alpha": jnp.full(1, math.log(curvature))}
    return dataclasses.replace(cell, params=cell.params._replace(potential=potential))


@pytest.fixture(scope="module")
def smooth() -> Trained:
    return untrained("maf_moon-icnn_smooth")


@pytest.fixture(scope="module")
def pictures() -> Trained:
    return untrained("images-mlp_image")


def gaussian(std: float) -> Pair:
    source, target = (Gaussians(((0.0, 0.0),), s) for s in (std, 1.0))
    return synthetic.SyntheticPair(dimension=2, source=source, target=target)


def drawn(module, cells: list[Trained]) -> Figure:
    with style.style():
        return module.draw(cells)


def texts(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(Text) if isinstance(text, Text))


# -- density --------------------------------------------------------------------------------------


def test_density_integrates_to_one(smooth: Trained) -> None:
    # The grid leaves out some 1e-4 of the mass; what an untrained model gets wrong is no mass.
    assert density.grid_integral(smooth, size=150) == pytest.approx(1.0, abs=0.02)


def test_density_is_the_change_of_variables_by_finite_differences(smooth: Trained) -> None:
    x = smooth.source(32)
    step = 1e-2  # error of order step^2, and of 1e-7 / step by rounding
    columns = [
        (smooth.forward(x + d) - smooth.forward(x - d)) / (2 * step) for d in step * np.eye(2)
    ]
    log_det = np.linalg.slogdet(np.stack(columns, axis=-1))[1]
    beta = -0.5 * np.sum(smooth.forward(x) ** 2, axis=1) - math.log(2 * math.pi)
    assert np.ptp(log_det) > 0.05  # else a constant would pass
    assert density.log_density(smooth, x) == pytest.approx(beta + log_det, abs=2e-3)


def test_density_of_a_quadratic_in_closed_form(smooth: Trained) -> None:
    model = quadratic(smooth, 2.0)  # the unit Gaussian, halved: N(0, I / 4)
    x = smooth.source(64)
    expected = -2.0 * np.sum(x**2, axis=1) - math.log(2 * math.pi / 4)
    assert density.log_density(model, x) == pytest.approx(expected, rel=1e-4)


def test_chunks_change_nothing(smooth: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    x = smooth.source(50)
    whole = density.log_density(smooth, x)
    monkeypatch.setattr(density, "CHUNK", 16)
    assert density.log_density(smooth, x) == pytest.approx(whole, rel=1e-5, abs=1e-5)
    assert density.log_density(smooth, x[:0]).shape == (0,)


def test_kl_of_gaussians(smooth: Trained) -> None:
    exact = dataclasses.replace(quadratic(smooth, 2.0), pair=gaussian(0.5))
    assert density.kl_divergence(exact, 512) == pytest.approx(0.0, abs=1e-4)
    # KL(N(0, s^2 I) || N(0, I / c^2)) = (c s)^2 - 1 - log (c s)^2 in two dimensions, here c s = 2;
    # the mean of the chi-squared over 4096 points is off by 3 standard errors of 3/64 at most.
    wide = dataclasses.replace(quadratic(smooth, 2.0), pair=gaussian(1.0))
    assert density.kl_divergence(wide, 4096) == pytest.approx(3.0 - math.log(4.0), abs=0.15)


def test_kl_needs_the_density_of_the_source(smooth: Trained) -> None:
    assert density.kl_divergence(dataclasses.replace(smooth, pair=measures("s_curve")), 16) is None


@pytest.mark.parametrize(
    ("cell", "pair", "message"),
    [
        ("gauss8-icnn_leaky", "maf_moon", "not twice differentiable"),
        ("maf_moon-icnn_smooth", "moons", "no density in closed form"),
        ("maf_moon-icnn_smooth", "images", "not a pair of laws"),
    ],
)
def test_without_a_density_it_says_why(cell: str, pair: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        density.log_density(untrained(cell, measures(pair)), np.zeros((1, 2), np.float32))


def test_density_panels_share_their_colours(
    smooth: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = density.on_grid
    monkeypatch.setattr(density, "on_grid", lambda cell, size=0: full(cell, 60))
    figure = drawn(density, [smooth])
    learned, true = (
        next(a for a in figure.findobj(type(figure.axes[0])) if word in a.get_title()).images[0]
        for word in ("learned", "true")
    )
    assert isinstance(learned.norm, Normalize)
    assert (learned.norm.vmin, learned.norm.vmax) == (true.norm.vmin, true.norm.vmax)
    (fact,) = density.facts([smooth])
    assert fact["pair"] == "maf_moon"
    assert f"integral {fact['integral']:.3f}, KL {fact['kl']:.3f} nats" in texts(figure)


# -- landscape ------------------------------------------------------------------------------------


def test_paths_end_where_the_conjugate_does_and_go_down(smooth: Trained) -> None:
    y = smooth.target(SAMPLES)
    solved = smooth.conjugate(y)
    starts = np.concatenate([smooth.amortized(y)[:4], y[:4] + 3.0])
    found = landscape.paths(smooth, np.tile(y[:4], (2, 1)), starts)
    values = np.split(smooth.value(np.concatenate(found)), np.cumsum([len(p) for p in found])[:-1])
    for lane, (path, value) in enumerate(zip(found, values, strict=True)):
        point = lane % 4
        assert path[0] == pytest.approx(starts[lane])
        assert np.diff(value - path @ y[point]).max() < 1e-6
        # From the same start but for the order of sums in two programs; from another, both stop at
        # a gradient norm of 1e-3, and f is strongly convex.
        tolerance = 1e-4 if lane < 4 else 5e-3
        assert path[-1] == pytest.approx(np.asarray(solved.x)[point], abs=tolerance)
    assert [len(path) - 1 for path in found[:4]] == list(solved.iterations[:4])
    assert max(map(len, found[4:])) > 2
    alone = landscape.path(smooth, y[0], starts[0])
    assert alone == pytest.approx(found[0], abs=1e-4)


def test_landscape_shows_starts_better_and_worse_with_their_iterations(
    smooth: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landscape, "SAMPLES", SAMPLES)
    figure = drawn(landscape, [smooth])
    assert len(figure.axes) == 3
    off = []
    for axes in figure.axes:
        lines = {str(line.get_label()): np.asarray(line.get_xydata()) for line in axes.lines}
        warm, cold = (next(v for k, v in lines.items() if word in k) for word in ("warm", "cold"))
        assert f"iterations: {len(warm) - 1} warm, {len(cold) - 1} cold" in axes.get_title()
        assert warm[-1] == pytest.approx(cold[-1], abs=5e-3)
        assert cold[0] == pytest.approx(lines["y"][0])
        off.append(np.linalg.norm(warm[0] - warm[-1]))
    assert off == sorted(off)
    assert off[0] < 0.9 * off[2]


def test_landscape_needs_a_solver(smooth: Trained) -> None:
    without = dataclasses.replace(smooth, problem=dataclasses.replace(smooth.problem, solver=None))
    with pytest.raises(InputError, match="no conjugate solver"):
        landscape.draw([without])


# -- overview -------------------------------------------------------------------------------------


def test_supporting_line_touches_f_from_below(smooth: Trained) -> None:
    cut = overview.support(smooth, overview.conjugation(smooth, SAMPLES))
    gap = cut.potential - cut.line
    assert gap.min() > -1e-4  # Fenchel-Young
    assert gap.max() > 0.1
    assert np.interp(cut.touch, cut.place, gap) == pytest.approx(0.0, abs=1e-2)
    assert np.interp(0.0, cut.place, cut.line) == pytest.approx(cut.intercept, abs=1e-4)


def test_overview_has_four_panels_and_the_tolerance(
    smooth: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overview, "SAMPLES", SAMPLES)
    figure = drawn(overview, [smooth])
    conjugate, start, tuning, transport = figure.axes[:4]
    assert [axes.get_title(loc="left").split("  ")[1] for axes in figure.axes[:4]] == [
        "conjugate",
        "amortized start",
        "fine-tuning",
        "transport",
    ]
    (tolerance,) = [line for line in tuning.lines if line.get_label() == "tolerance"]
    assert set(np.asarray(tolerance.get_xdata())) == {1e-3}
    moved = next(line for line in transport.lines if line.get_label() == "moved")
    expected = smooth.forward(smooth.source(overview.SHOWN))
    assert np.asarray(moved.get_xydata()) == pytest.approx(expected)


# -- interpolation --------------------------------------------------------------------------------


def test_masses_are_those_of_the_image(pictures: Trained) -> None:
    pair = pictures.pair
    assert isinstance(pair, images.ImagePair)
    mass = preparation_of_images.drawn("source")
    assert interpolation.masses(pair.source) == pytest.approx(mass[mass > 0] / mass.sum(), rel=1e-3)


def test_histogram_keeps_mass_places_and_lattices() -> None:
    rows = interpolation.BINS
    one = interpolation.histogram(np.array([[-0.5 + 0.5 / rows, 0.5 - 0.5 / rows]]), side=1.0)
    assert one[0, 0] == pytest.approx(1.0)
    ticks = np.arange(-0.4, 0.4, 1 / (2 * rows))
    lattice = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
    dense = interpolation.histogram(lattice, side=1.0)
    assert dense.sum() == pytest.approx(1.0)
    middle = dense[rows // 4 : -rows // 4, rows // 4 : -rows // 4]
    assert middle == pytest.approx(np.full_like(middle, middle[0, 0]))
    outside = np.array([[5.0, 0.0], [np.nan, 0.0], [0.0, -0.6]])
    assert interpolation.histogram(outside, side=1.0).sum() == 0.0


def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interpolation, "SAMPLES", 256)
    monkeypatch.setattr(interpolation, "BLOCK", 128)


def test_interpolation_runs_between_sample_and_image(
    pictures: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    few(monkeypatch)
    couples = interpolation.forward(pictures)
    assert couples.at(0.0) == pytest.approx(pictures.source(256))
    assert couples.at(1.0) == pytest.approx(pictures.forward(pictures.source(256)), abs=1e-5)
    back = interpolation.inverse(pictures)
    assert back.at(1.0) == pytest.approx(pictures.target(256))
    assert back.at(0.25) == pytest.approx(0.75 * back.source + 0.25 * back.target)


def test_interpolation_draws_images_and_both_rows(
    pictures: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    few(monkeypatch)
    figure = drawn(interpolation, [pictures])
    assert len(figure.axes) == 2 + 2 * len(interpolation.TIMES)
    assert {"source", "target", "forward", "inverse"} <= set(texts(figure).split())


def test_frames_go_there_and_back(pictures: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    few(monkeypatch)
    found = interpolation.frames([pictures])
    assert len(found) == interpolation.FRAMES
    assert {frame.size for frame in found} == {(240, 240)}
    assert found[1].tobytes() == found[-1].tobytes()
    assert found[0].tobytes() != found[12].tobytes()


def test_interpolation_is_of_images(smooth: Trained) -> None:
    for make in (interpolation.draw, interpolation.frames):
        with pytest.raises(InputError, match="not a pair of images"):
            make([smooth])
