"""Records of the benchmark's own methods: compared as the document has it; notebooks' plots."""

import base64
import io
import json
from pathlib import Path

import matplotlib.figure
import numpy as np
import pandas as pd
import pytest

from benchmarks import baselines, notebook_curves
from w2dual.records import InputError

BOTH = ("l2_uvp_forward_percent", "l2_uvp_inverse_percent")


def test_the_document_has_the_tables_of_the_records():
    text = baselines.DOCUMENT.read_text(encoding="utf-8")
    assert text == baselines.COLLECTION.written(baselines.DOCUMENT, baselines.RECORDS)


def test_a_run_is_smoothed_by_evaluations_as_the_notebooks_are():
    steps = [0, 50, 100, 200]  # 50 is none of a notebook's evaluations
    history = pd.DataFrame({"step": steps, BOTH[0]: [9.0, 1e9, 5.0, 1.0], BOTH[1]: [1.0] * 4})
    found = baselines.smoothed(history)
    old = 1 - 2 / 201
    assert list(found.index) == [0, 1, 2]
    assert found[BOTH[0]][1] == pytest.approx((9 * old + 5) / (old + 1))
    assert found[BOTH[1]].tolist() == pytest.approx([1, 1, 1])


def test_errors_that_fall_as_a_power_are_continued_by_it():
    """Whatever they did in the first tenth."""
    steps = np.arange(0, 2001, 100)
    falling = 3.0 * np.maximum(steps, 1) ** -0.5
    errors = np.where(steps < 200, 50.0, falling)
    history = pd.DataFrame({"step": steps, BOTH[0]: errors})
    assert baselines.at_steps(history, 20001) == pytest.approx(3.0 * 20001**-0.5)


def test_a_record_without_its_history_is_named(tmp_path: Path):
    with pytest.raises(InputError, match="holds no records"):
        baselines.read(tmp_path)
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(InputError, match=r"a\.csv: missing"):
        baselines.read(tmp_path)


def test_a_record_of_a_method_of_others_is_named(tmp_path: Path):
    (tmp_path / "a.json").write_text(json.dumps({"cell": {"amortization": "enot"}}))
    (tmp_path / "a.csv").write_text("seed,step\n")
    with pytest.raises(InputError, match=r"a\.json: of method 'enot'.*remove the record"):
        baselines.read(tmp_path)


@pytest.mark.parametrize("lowest", [3.0, 45.0])  # ticks 20 and 10 percent apart
def test_curves_are_read_off_a_plot_like_the_notebooks(lowest: float, tmp_path: Path):
    numbers = np.arange(1001)
    curve = lowest + (90 - lowest) * np.exp(-numbers / 150)
    figure = matplotlib.figure.Figure(figsize=(12, 6), dpi=100)
    for axes in figure.subplots(2, 2).flat:
        axes.plot(curve, label="Fitted Transport")
        for height, colour in ((89, "red"), (40, "orange"), (100, "magenta")):
            axes.axhline(max(height, lowest), c=colour, label="a baseline")
        axes.legend(loc="upper left")
    figure.tight_layout()
    image = io.BytesIO()
    figure.savefig(image, format="png")
    output = {"data": {"image/png": base64.b64encode(image.getvalue()).decode()}}
    notebook = tmp_path / "W2.ipynb"
    notebook.write_text(json.dumps({"cells": [{"outputs": [output]}]}))
    for found in notebook_curves.curves(notebook_curves.picture(notebook), 1000):
        read = np.interp([250, 500, 900], *found)
        np.testing.assert_allclose(read, curve[[250, 500, 900]], atol=0.6)


def test_a_notebook_that_has_no_plot_is_named(tmp_path: Path):
    with pytest.raises(InputError, match=r"W2_test_hd_benchmark\.ipynb: cannot be read"):
        notebook_curves.table(tmp_path)
