"""Training curves: what is drawn from hand-built histories, and what is refused."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from tests.unit.results.test_aggregate import plane_record, plane_seed, record, seed

from w2dual.jobs import curves as curves_job
from w2dual.plots import curves, style
from w2dual.records import InputError

PUBLISHED = Path(__file__).parents[3] / "tables" / "published"


def history(lengths: dict[int, int]) -> pd.DataFrame:
    rows = [
        {"seed": number, "step": 50 * k, "dual_objective": 0.1 * k - 0.3}
        | {"l2_uvp_forward_percent": 30.0 / (k + 1) + number}
        | {"l2_uvp_inverse_percent": 40.0 / (k + 1) + number}
        for number, length in lengths.items()
        for k in range(length)
    ]
    return pd.DataFrame(rows)


def plane_history(lengths: dict[int, int]) -> pd.DataFrame:
    return history(lengths).rename(
        columns={
            "l2_uvp_forward_percent": "w2_forward",
            "l2_uvp_inverse_percent": "w2_inverse",
        }
    )


def drawn(one: dict[str, Any], frame: pd.DataFrame, published: dict[str, Any] | None) -> Figure:
    with style.style():
        return curves.draw(one, curves.errors_of(one, Path("metrics.json"))[1], frame, published)


def texts(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(Text) if isinstance(text, Text))


def test_one_line_per_seed_and_quantity_and_their_mean() -> None:
    figure = drawn(record(), history({0: 3, 1: 3}), {"mean": 0.03, "diverged": False})
    left, right = figure.axes
    assert left.get_yscale() == "log"
    assert len(left.lines) == 2 * (2 + 1) + 1  # two maps, each two seeds and the mean; the paper
    assert len(right.lines) == 2 + 1
    forward = next(line for line in left.lines if line.get_label() == "forward")
    assert forward.get_ydata() == pytest.approx([30.5, 15.5, 10.5])
    (paper,) = [line for line in left.lines if "paper" in str(line.get_label())]
    assert set(np.asarray(paper.get_ydata())) == {0.03}
    assert "Objective + L-BFGS; MLP potential, n = 2" in texts(figure)


@pytest.mark.parametrize(
    ("kind", "solver", "method"),
    [
        (None, "none", "Objective, no solver"),
        ("dual", "none", "Objective, no solver"),
        ("w2gn", "none", "Objective"),
        ("w2gn", "adam", "Objective, Adam"),
    ],
)
def test_a_title_says_of_the_duals_methods_alone_that_there_is_no_solver(
    kind: str | None, solver: str, method: str
) -> None:
    cell = record(solver)["cell"]
    cell["settings"] |= {"method": {"kind": kind}} if kind else {}
    assert curves.title(cell) == f"{method}; MLP potential, n = 2"


def test_diverged_seed_is_crossed_and_ends_the_mean() -> None:
    one = record()
    one["seeds"][1] = seed(1, None, "diverged")
    figure = drawn(one, history({0: 3, 1: 2}), {"mean": float("nan"), "diverged": True})
    left, _ = figure.axes
    crosses = [line for line in left.lines if line.get_marker() == "x"]
    assert [list(np.asarray(line.get_xdata())) for line in crosses] == [[50], [50]]
    forward = next(line for line in left.lines if line.get_label() == "forward")
    assert list(np.asarray(forward.get_xdata())) == [0, 50]
    assert "diverged (1 of 2)" in texts(figure)
    assert ">100" in texts(figure)


def test_all_seeds_gone_at_once_still_draws() -> None:
    one = record()
    one["seeds"] = [seed(0, None, "diverged"), seed(1, None, "diverged")]
    frame = history({0: 1, 1: 1})
    frame["l2_uvp_forward_percent"] = np.nan
    frame["l2_uvp_inverse_percent"] = np.inf
    figure = drawn(one, frame, None)
    assert "diverged (2 of 2)" in texts(figure)


def test_on_the_plane_floors_and_final_values_stand_beside_the_curves() -> None:
    one = plane_record()
    for number, entry in enumerate(one["seeds"]):
        entry |= {"w2_forward": 1.0 + number, "w2_inverse": 3.0 + number}
        entry |= {"w2_floor_forward": 0.1 * (1 + number), "w2_floor_inverse": 0.4}
    figure = drawn(one, plane_history({0: 3, 1: 3}), None)
    left, right = figure.axes
    assert left.get_ylabel() == "squared W2"
    assert len(right.lines) == 2 + 1
    dashed = [line for line in left.lines if line.get_linestyle() == "--"]
    assert [float(np.asarray(line.get_ydata())[0]) for line in dashed] == pytest.approx([0.15, 0.4])
    dots = [line for line in left.lines if line.get_marker() == "o"]
    assert [float(np.asarray(line.get_ydata())[0]) for line in dots] == pytest.approx([1.5, 3.5])
    assert [float(np.asarray(line.get_xdata())[0]) for line in dots] == [100, 100]
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["forward", "inverse", "floor: two fresh sample sets"]
    found = texts(figure)
    assert "8 Gaussians; ICNN, leaky ReLU potential\nRegression + L-BFGS" in found
    assert "curves: 512 samples; dots and floors: 2,048; reduced budget: preset smoke" in found
    assert "paper" not in found


def test_on_the_plane_a_diverged_seed_leaves_floors_and_no_final_value() -> None:
    one = plane_record()
    one["seeds"][1] = plane_seed(1, None, "diverged")
    left, _ = drawn(one, plane_history({0: 3, 1: 2}), None).axes
    dashed = [line for line in left.lines if line.get_linestyle() == "--"]
    assert [float(np.asarray(line.get_ydata())[0]) for line in dashed] == [0.01, 0.01]
    assert not [line for line in left.lines if line.get_marker() == "o"]
    one["seeds"][0] = plane_seed(0, None, "diverged")
    left, _ = drawn(one, plane_history({0: 2, 1: 2}), None).axes
    assert not [line for line in left.lines if line.get_linestyle() == "--"]


def test_reduced_and_generated_are_said() -> None:
    one = record()
    assert "reduced budget: preset smoke" in texts(drawn(one, history({0: 2, 1: 2}), None))
    one["preset"]["reduced"] = False
    said = {"generated": "generated here", "packaged": "stand-in data of a package"}
    said |= {"other": "stand-in data of a folder", "drawn": "drawn here"}
    for source, words in said.items():
        one["measures"]["source"] = source
        found = texts(drawn(one, history({0: 2, 1: 2}), None))
        assert words in found
        assert "reduced" not in found


def test_blow_up_of_the_objective_leaves_the_rest_visible() -> None:
    frame = history({0: 20, 1: 20})
    assert drawn(record(), frame, None).axes[1].get_yscale() == "linear"
    frame.loc[39, "dual_objective"] = -9e4
    assert drawn(record(), frame, None).axes[1].get_yscale() == "symlog"


def test_a_method_without_a_dual_objective_is_drawn_and_says_so() -> None:
    figure = drawn(record(), history({0: 3, 1: 3}).drop(columns="dual_objective"), None)
    left, right = figure.axes
    assert left.lines
    assert not right.lines
    assert [text.get_text() for text in right.texts] == ["this method has none"]


def test_published_value_of_a_cell() -> None:
    cell = {"potential": "mlp", "amortization": "objective", "solver": "lbfgs", "dimension": 4}
    assert curves.published_value(PUBLISHED, cell) == {"mean": 0.22, "diverged": False}
    found = curves.published_value(PUBLISHED, cell | {"solver": "none"})
    assert found is not None
    assert found["diverged"]
    assert curves.published_value(PUBLISHED, cell | {"dimension": 3}) is None
    assert curves.published_value(PUBLISHED, cell | {"potential": "new"}) is None
    with pytest.raises(InputError, match="no such folder"):
        curves.published_value(PUBLISHED / "none", cell)


def run(folder: Path, name: str) -> tuple[bytes, bytes]:
    parser = argparse.ArgumentParser()
    curves_job.add_arguments(parser)
    pdf, png = folder / f"{name}.pdf", folder / f"{name}.png"
    command = ["--metrics", str(folder / "metrics.json"), "--history", str(folder / "history.csv")]
    command += ["--published", str(PUBLISHED), "--pdf", str(pdf), "--png", str(png)]
    curves_job.main(parser.parse_args(command))
    return pdf.read_bytes(), png.read_bytes()


def test_drawing_again_gives_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text(json.dumps(record()), encoding="utf-8")
    history({0: 3, 1: 3}).to_csv(tmp_path / "history.csv", index=False)
    first = run(tmp_path, "a")
    assert first == run(tmp_path, "b")
    assert first[0].startswith(b"%PDF")
    assert first[1].startswith(b"\x89PNG")


def test_cell_on_the_plane_is_drawn_without_a_published_value(tmp_path: Path) -> None:
    # Of a potential, method and dimension that the paper's tables have, for another pair.
    one = plane_record(potential="mlp")
    (tmp_path / "metrics.json").write_text(json.dumps(one), encoding="utf-8")
    frame = plane_history({0: 3, 1: 3})
    frame.to_csv(tmp_path / "history.csv", index=False)
    first = run(tmp_path, "a")
    assert first == run(tmp_path, "b")
    with style.style():
        style.save(drawn(one, frame, None), tmp_path / "c.pdf", tmp_path / "c.png")
    assert first[1] == (tmp_path / "c.png").read_bytes()
    history({0: 1}).to_csv(tmp_path / "history.csv", index=False)
    with pytest.raises(InputError, match=r"history.csv: lacks the columns w2_forward, w2_inverse"):
        run(tmp_path, "a")


def test_unknown_headline_is_named(tmp_path: Path) -> None:
    one = record()
    one["headline"]["column"] = "beauty"
    (tmp_path / "metrics.json").write_text(json.dumps(one), encoding="utf-8")
    with pytest.raises(InputError, match=r"metrics.json: headline.column is 'beauty', expected"):
        run(tmp_path, "a")


def test_bad_history_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text(json.dumps(record()), encoding="utf-8")
    with pytest.raises(InputError, match=r"history.csv: no such file"):
        run(tmp_path, "a")
    (tmp_path / "history.csv").write_text("seed,step\n0,0\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"history.csv: lacks the columns l2_uvp_forward_percent"):
        run(tmp_path, "a")
    history({0: 1}).head(0).to_csv(tmp_path / "history.csv", index=False)
    with pytest.raises(InputError, match=r"history.csv: has no rows"):
        run(tmp_path, "a")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["history.csv", "metrics.json"]


@pytest.mark.parametrize(
    ("step", "label"), [(0, "0"), (500, "500"), (1500, "1.5k"), (250000, "250k")]
)
def test_steps_in_few_characters(step: float, label: str) -> None:
    assert style.thousands(step) == label
