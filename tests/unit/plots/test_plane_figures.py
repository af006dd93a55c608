"""Figures of cells on the plane: that what is drawn is what the cell's maps and potentials say."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure
from matplotlib.quiver import Quiver
from matplotlib.text import Text
from tests.unit.settings import plane_pair

from w2dual.config.grid import cells_in
from w2dual.config.reader import load
from w2dual.conjugate import Status
from w2dual.evaluation.trained import Points, Trained
from w2dual.plots import flow, potential, style, transport
from w2dual.training.methods.dual import make as make_problem
from w2dual.training.pretraining import fresh_params

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
PAIR = "moons"  # neither measure lies within the other
PAGE_IN = (7.0, 9.2)


@pytest.fixture(scope="module")
def cell() -> Trained:
    """An untrained cell of small networks."""
    config = load([ROOT / "config.yaml", ROOT / "presets" / "laptop.yaml"])
    found = next(one for one in cells_in("synthetic", config) if one.pair == PAIR)
    settings = found.settings | {
        "potential": found.settings["potential"] | {"hidden": [8, 8]},
        "amortization_model": found.settings["amortization_model"] | {"hidden": [8]},
        "seeds": [0],
    }
    small = dataclasses.replace(found, settings=settings)
    problem = make_problem(settings, small.dimension)
    pair = plane_pair(PAIR, config["measures"]["synthetic"][PAIR])
    record = {"cell": small.to_json(), "preset": config["preset"]}
    return Trained(small, record, 0, problem, fresh_params(problem, small), pair)


def drawn(module: ModuleType, *cells: Trained) -> Figure:
    with style.style():
        return module.draw(cells)


@pytest.fixture(scope="module")
def moved(cell: Trained) -> Figure:
    return drawn(transport, cell)


@pytest.fixture(scope="module")
def landscape(cell: Trained) -> Figure:
    return drawn(potential, cell)


@pytest.fixture(scope="module")
def flowing(cell: Trained) -> Figure:
    return drawn(flow, cell)


def dots(axes: Axes, label: str) -> Points:
    (line,) = [line for line in axes.lines if line.get_label() == label]
    return np.asarray(line.get_xydata())


def lines(axes: Axes) -> np.ndarray:
    (found,) = [item for item in axes.collections if isinstance(item, LineCollection)]
    return np.stack([np.asarray(segment) for segment in found.get_segments()])


def shows(axes: Axes, *samples: Points) -> bool:
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    x, y = np.concatenate(samples).T
    return bool(np.all((left < x) & (x < right) & (low < y) & (y < high)))


def assert_close(found: np.ndarray, expected: np.ndarray) -> None:
    """Equal up to what another size of batch changes: where the solver stops, within 1e-3."""
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=5e-3)


def texts(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(Text) if isinstance(text, Text))


def is_square(axes: Axes) -> bool:
    """Whether a unit is as long across as up, on paper too."""
    width, height = axes.bbox.size
    across, up = np.diff(axes.get_xlim()), np.diff(axes.get_ylim())
    return bool(np.isclose(width / across, height / up))


@pytest.mark.parametrize("name", ["moved", "landscape", "flowing"])
def test_words_are_on_the_page_and_beside_each_other(
    name: str, request: pytest.FixtureRequest
) -> None:
    figure: Figure = request.getfixturevalue(name)
    renderer = FigureCanvasAgg(figure).get_renderer()
    boxes = [text.get_window_extent(renderer) for text in figure.texts]
    boxes += [legend.get_window_extent(renderer) for legend in figure.legends]
    panels = [axes.get_tightbbox(renderer, for_layout_only=True) for axes in figure.axes]
    boxes += [box for box in panels if box is not None]
    for place, box in enumerate(boxes):
        assert figure.bbox.x0 < box.x0
        assert box.x1 < figure.bbox.x1
        assert figure.bbox.y0 < box.y0
        assert box.y1 < figure.bbox.y1
        assert not any(box.overlaps(other) for other in boxes[:place])


@pytest.mark.long
@pytest.mark.parametrize(("module", "panels"), [(transport, 2), (potential, 2), (flow, 12)])
def test_three_cells_and_nine_fit_a_page(module: ModuleType, panels: int, cell: Trained) -> None:
    for count in (3, 9):
        figure = drawn(module, *[cell] * count)
        assert len(figure.axes) == count * panels
        width, height = figure.get_size_inches()
        assert width <= PAGE_IN[0]
        assert height <= PAGE_IN[1]
        assert texts(figure).count("moons") == count
        boxes = [axes.get_position() for axes in figure.axes]
        assert all(0 <= box.x0 < box.x1 <= 1 and 0 < box.y0 < box.y1 < 1 for box in boxes)
        assert not any(
            one.x0 < other.x1 and other.x0 < one.x1 and one.y0 < other.y1 and other.y0 < one.y1
            for i, one in enumerate(boxes)
            for other in boxes[:i]
        )
        assert all(is_square(axes) for axes in figure.axes)


def test_samples_are_moved_by_the_maps(cell: Trained, moved: Figure) -> None:
    source, target = cell.source(transport.SAMPLES), cell.target(transport.SAMPLES)
    ends = (cell.forward(source), cell.inverse(target))
    for axes, start, end in zip(moved.axes, (source, target), ends, strict=True):
        np.testing.assert_array_equal(dots(axes, "source"), source)
        np.testing.assert_array_equal(dots(axes, "target"), target)
        np.testing.assert_array_equal(dots(axes, "moved"), end)
        assert not np.allclose(start, end, atol=0.1)
        ways = lines(axes)
        assert ways.shape == (transport.LINES, 2, 2)
        np.testing.assert_array_equal(ways[:, 0], start[: transport.LINES])
        np.testing.assert_array_equal(ways[:, 1], end[: transport.LINES])
        assert shows(axes, source, target)
    left, right = moved.axes
    assert left.get_xlim() == right.get_xlim()
    assert left.get_ylim() == right.get_ylim()


def test_one_legend_for_all(moved: Figure) -> None:
    (legend,) = moved.legends
    assert [text.get_text() for text in legend.get_texts()] == ["source", "target", "moved"]


def test_level_lines_are_of_f_and_of_its_conjugate(cell: Trained, landscape: Figure) -> None:
    def conjugate(y: Points) -> np.ndarray:
        return -np.asarray(cell.conjugate(y).value)

    for axes, value in zip(landscape.axes, (cell.value, conjugate), strict=True):
        (curves,) = [
            item
            for item in axes.collections
            if isinstance(item, QuadContourSet) and not item.filled
        ]
        levels = np.asarray(curves.levels)
        paths = [np.asarray(path.vertices)[::10] for path in curves.get_paths()]
        expected = np.repeat(levels, [len(path) for path in paths])
        # A level line is of the linear interpolation between points of the grid.
        tolerance = 0.1 * (levels[1] - levels[0])
        np.testing.assert_allclose(value(np.concatenate(paths)), expected, atol=tolerance)


def test_arrows_are_the_gradients(cell: Trained, landscape: Figure) -> None:
    samples = (cell.source(potential.SAMPLES), cell.target(potential.SAMPLES))
    gradients = (cell.forward, cell.inverse)
    for axes, inside, gradient in zip(landscape.axes, samples, gradients, strict=True):
        (arrows,) = [item for item in axes.collections if isinstance(item, Quiver)]
        places = np.asarray(arrows.XY)
        drawn_arrows = np.stack([np.ravel(arrows.U), np.ravel(arrows.V)], axis=1)
        assert_close(drawn_arrows, gradient(places))
        assert shows(axes, inside, places)


def test_grid_goes_from_itself_to_the_maps_image(cell: Trained, flowing: Figure) -> None:
    columns = len(flow.TIMES)
    source, target = cell.source(flow.SAMPLES), cell.target(flow.SAMPLES)
    rows = ((target, cell.inverse), (source, cell.forward))
    for number, (samples, push) in enumerate(rows):
        panels = flowing.axes[number * columns : (number + 1) * columns]
        start = flow.grid(samples)
        points = np.concatenate([samples, start.reshape(-1, 2)])  # one batch, as the figure's
        image, end = np.split(push(points), [len(samples)])
        end = end.reshape(start.shape)
        np.testing.assert_array_equal(lines(panels[0]), start)
        np.testing.assert_array_equal(lines(panels[-1]), end)
        for t, axes in zip(flow.TIMES, panels, strict=True):
            assert_close(lines(axes), (1 - t) * start + t * end)
            (carried,) = axes.lines
            now = (1 - t) * samples + t * image
            assert_close(np.asarray(carried.get_xydata()), now)
            assert shows(axes, source, target)
        assert [axes.get_title() for axes in panels] == (
            ["" if number else f"t = {t:g}" for t in flow.TIMES]
        )


def test_grid_is_regular_and_as_large_as_the_samples() -> None:
    samples = np.array([[0.0, 5.0], [2.0, 9.0], [1.0, 6.0]])
    found = flow.grid(samples)
    assert found.shape == (2 * flow.GRID_LINES, flow.LINE_POINTS, 2)
    horizontal, vertical = np.split(found, 2)
    steps = np.linspace(0, 1, flow.GRID_LINES)
    for lines_of, along, low, size in ((horizontal, 0, 5.0, 4.0), (vertical, 1, 0.0, 2.0)):
        np.testing.assert_allclose(lines_of[:, 0, 1 - along], low + size * steps)
        np.testing.assert_array_equal(lines_of[:, 0, 1 - along], lines_of[:, -1, 1 - along])
        np.testing.assert_array_equal(lines_of[:, 0, along], samples.min(axis=0)[along])
        np.testing.assert_array_equal(lines_of[:, -1, along], samples.max(axis=0)[along])


def test_pictures_go_there_and_back(cell: Trained) -> None:
    with style.style():
        pictures = flow.frames([cell, cell])
    assert len(pictures) == flow.FRAMES
    assert {picture.size for picture in pictures} == {(flow.FRAME_PX, flow.FRAME_PX)}
    grey = [np.asarray(picture.convert("L"), float) for picture in pictures]
    middle = flow.FRAMES // 2
    apart = np.abs(grey[middle] - grey[0]).mean()
    assert apart > 1.0
    for one, other in zip(grey[1:middle], grey[:middle:-1], strict=True):
        # The times differ in their last digit.
        assert np.abs(one - other).mean() < 0.01 * apart


def test_what_is_drawn_of_the_inverse_is_counted(cell: Trained) -> None:
    counted = dataclasses.replace(cell, tallies=[])
    compiled = {key: item for key, item in vars(cell).items() if key.startswith("_")}
    vars(counted).update(compiled)
    drawn(transport, counted)
    status = np.asarray(cell.conjugate(cell.target(transport.SAMPLES), drawn=False).status)
    assert counted.conjugated is not None
    assert counted.conjugated.points == transport.SAMPLES
    assert counted.conjugated.counts == {item: int((status == item).sum()) for item in Status}
    counted.conjugate(cell.target(transport.SAMPLES), drawn=False)
    assert len(counted.tallies) == 1
