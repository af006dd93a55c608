"""The study of a cell: its traces, its statistics, its file and its figure."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from tests.unit import settings

from w2dual.conjugate import Status
from w2dual.evaluation.trained import Trained
from w2dual.plots import conjugation as drawing
from w2dual.plots import style
from w2dual.records import InputError, save_arrays
from w2dual.studies import conjugation, conjugation_record
from w2dual.studies.conjugation import SOLVERS
from w2dual.studies.conjugation_record import STARTS, Study

pytestmark = pytest.mark.slow

SETTINGS = {
    "lbfgs": settings.solver(gradient_tolerance=1e-2),
    "adam": settings.solver("adam", gradient_tolerance=1e-2),
    "points": 3,
    "samples": 40,
}


@pytest.fixture(scope="module")
def study(cell: Trained) -> Study:
    values, samples = conjugation.study(cell, SETTINGS)
    metadata = {
        "format": conjugation_record.FORMAT,
        "kind": conjugation.STREAM,
        "cell": cell.record["cell"],
        "preset": cell.record["preset"],
        "seed": cell.seed,
        "settings": SETTINGS,
        "provenance": {"device": "CPU: a test"},
    }
    return Study(metadata, values, samples)


@pytest.fixture(scope="module")
def history() -> pd.DataFrame:
    rows = [
        {"seed": 0, "step": step, "amortization_gap_mean": gap, "start_gradient_norm_mean": 2 * gap}
        for step, gap in ((0, 1.0), (100, 0.1), (200, 0.01))
    ]
    return pd.DataFrame(rows)


def test_traces_start_where_they_should_and_end_at_one_minimum(cell: Trained, study: Study) -> None:
    assert study.values.keys() == {(solver, start) for solver in SOLVERS for start in STARTS}
    ends = [
        [row[np.isfinite(row)][-1] for row in study.values[solver, start]]
        for solver in SOLVERS
        for start in STARTS
    ]
    # At max|grad J| < 1e-2 the potential, of curvature about 1, is within 1e-3 of its minimum.
    np.testing.assert_allclose(ends, np.broadcast_to(ends[0], np.shape(ends)), atol=1e-3)
    for start in STARTS:
        # The solvers start at the same height, which is J at y or at x_tilde(y).
        first = [study.values[solver, start][:, 0] for solver in SOLVERS]
        np.testing.assert_allclose(first[0], first[1], rtol=1e-5)
    descents = np.diff(study.values["lbfgs", "cold"], axis=1)
    assert np.all(descents[np.isfinite(descents)] < 0)  # Armijo: each accepted step goes down


def test_statistics_are_of_all_samples_and_traces_of_the_first(study: Study) -> None:
    for start in STARTS:
        sample = study.samples[start]
        assert {array.shape for array in vars(sample).values()} == {(SETTINGS["samples"],)}
        assert np.all(sample.status == Status.CONVERGED)
        assert np.all(sample.gradient_norm < SETTINGS["lbfgs"]["gradient_tolerance"])
        assert np.all(sample.gap > -1e-5)
        lengths = np.isfinite(study.values["lbfgs", start]).sum(axis=1) - 1
        np.testing.assert_array_equal(lengths, sample.iterations[: SETTINGS["points"]])
    assert np.any(
        study.samples["cold"].start_gradient_norm != study.samples["warm"].start_gradient_norm
    )


def test_normalised_goes_from_0_to_1_for_each_point(study: Study) -> None:
    together = np.concatenate(list(study.normalised().values()), axis=1)
    np.testing.assert_allclose(np.nanmin(together, axis=1), 0.0, atol=1e-7)
    np.testing.assert_allclose(np.nanmax(together, axis=1), 1.0, atol=1e-6)


def test_the_file_holds_all_of_it(study: Study, tmp_path: Path) -> None:
    conjugation_record.write(tmp_path / "study.safetensors", study)
    found = conjugation_record.read(tmp_path / "study.safetensors")
    assert found.metadata["cell"]["name"] == study.metadata["cell"]["name"]
    for key, values in study.values.items():
        np.testing.assert_array_equal(found.values[key], values)
    for start, sample in study.samples.items():
        np.testing.assert_array_equal(found.samples[start].gap, sample.gap)
    save_arrays(tmp_path / "other.safetensors", {}, {"format": 1})
    with pytest.raises(InputError, match=r"other.safetensors: holds no conjugation study"):
        conjugation_record.read(tmp_path / "other.safetensors")


def test_more_points_than_samples_are_refused(cell: Trained) -> None:
    with pytest.raises(InputError, match=r"41 points of 40 samples"):
        conjugation.study(cell, SETTINGS | {"points": 41})


def drawn(studies: list[Study], history: pd.DataFrame) -> Figure:
    with style.style():
        return drawing.draw(studies, [history] * len(studies))


def words(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(Text) if isinstance(text, Text))


def test_the_figure_has_a_column_for_each_dimension(study: Study, history: pd.DataFrame) -> None:
    assert len(drawn([study], history).axes) == 4
    figure = drawn([study, study], history)
    assert len(figure.axes) == 8
    descent, iterations, norms, training = figure.axes[::2]
    # A line and its end for each of 3 points and 4 methods.
    assert len(descent.lines) == 4 * (SETTINGS["points"] + 1)
    for axes, key in ((iterations, "iterations"), (norms, "gradient_norm")):
        for line, start in zip(axes.lines, STARTS, strict=False):
            values = np.sort(getattr(study.samples[start], key))
            np.testing.assert_allclose(np.asarray(line.get_xdata(), float), values, rtol=1e-6)
            assert np.asarray(line.get_ydata(), float)[-1] == 100
    np.testing.assert_allclose(
        np.asarray(training.lines[1].get_ydata(), float), history["amortization_gap_mean"]
    )
    assert "reduced budget: preset smoke; 40 points; CPU: a test" in words(figure)
    assert "Regression + L-BFGS" in words(figure)


def test_a_cell_whose_seeds_all_diverged_is_said_to(study: Study, history: pd.DataFrame) -> None:
    lost = dataclasses.replace(study, metadata=dict(study.metadata) | {"seed": None})
    lost = dataclasses.replace(lost, values={}, samples={})
    assert lost.diverged
    assert "all seeds diverged" in words(drawn([lost, study], history))
