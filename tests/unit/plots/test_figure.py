"""What a figure says of the points that it draws."""

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from w2dual.conjugate import ConjugateResult, Status
from w2dual.conjugate import tally as conjugates
from w2dual.conjugate.tally import Tally
from w2dual.plots import figure as drawn
from w2dual.plots import style
from w2dual.records import write_json

FINE = [Status.CONVERGED] * 3
LOST = [Status.CONVERGED, Status.ITERATION_LIMIT, Status.LINE_SEARCH_FAILED]


def result(statuses: list[Status]) -> ConjugateResult:
    zeros: Any = np.zeros(len(statuses))
    norms: Any = np.arange(len(statuses)) / 10
    return ConjugateResult(zeros, zeros, norms, np.array(statuses), zeros, zeros)  # type: ignore[arg-type]


def cell(pair: str, statuses: list[Status] | None, solver: bool = True) -> Any:
    """What the words are made of."""
    tally = None if statuses is None else Tally.of(result(statuses), solver)
    return SimpleNamespace(cell=SimpleNamespace(pair=pair, name=f"{pair}-cell"), conjugated=tally)


def test_points_that_converged_need_no_words():
    assert drawn.not_converged([cell("moons", FINE), cell("rings", None)]) == ""


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ([cell("moons", LOST), cell("rings", FINE)], "2 of 6 points (moons 2)"),
        ([cell("moons", LOST), cell("rings", LOST)], "4 of 6 points (moons 2, rings 2)"),
        ([cell("moons", [Status.RUNNING] * 3, solver=False)], "3 of 3 points (moons 3, a guess)"),
        ([cell("moons", LOST)] * 4, "8 of 12 points (of 4 cells)"),
    ],
)
def test_points_that_did_not_converge_are_counted_and_named(cells: list[Any], words: str):
    assert drawn.not_converged(cells) == rf"$\hat{{x}}(y)$ not converged: {words}"


def test_the_log_says_how_each_cell_fared(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.INFO):
        drawn._log_conjugates([cell("moons", LOST), cell("rings", FINE), cell("swiss", None)])
    (lost, fine) = caplog.records
    assert (lost.levelname, fine.levelname) == ("WARNING", "INFO")
    assert lost.getMessage() == (
        "moons-cell: 1 of 3 conjugates converged, 1 at the iteration limit, 1 failed in the line "
        "search; max|grad f(x) - y|: median 0.1, worst 0.2"
    )


@pytest.mark.parametrize("lost", [1, 2])
def test_cells_of_which_every_seed_diverged_are_named_and_not_drawn(
    lost: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """A result, which keeps no other cell from being drawn, and stops no workflow."""
    files = []
    for place, name in enumerate(("moons", "rings")):
        status = "diverged" if place < lost else "finished"
        record = {"cell": {"name": name}, "seeds": [{"seed": 0, "status": status}]}
        record["preset"] = {"name": "tiny", "reduced": True}
        record["measures"] = {"source": "drawn"}
        write_json(tmp_path / name, record)
        files.append((tmp_path / "params", tmp_path / name, tmp_path / "pair"))
    monkeypatch.setattr(drawn.trained, "load", lambda params, metrics, pair, kinds: metrics.name)
    monkeypatch.setattr(drawn, "not_converged", lambda cells: "")
    monkeypatch.setattr(drawn, "_log_conjugates", lambda cells: None)
    shown, said = [], []
    image = Image.new("RGB", (4, 4))
    module: Any = SimpleNamespace(FRAME_MS=50, frames=lambda cells: shown.append(cells) or [image])
    module.draw = lambda cells: shown.append(cells) or Figure(figsize=(2, 1))
    monkeypatch.setattr(
        style, "save", lambda figure, pdf, png: said.extend(t.get_text() for t in figure.texts)
    )
    pdf, gif = tmp_path / "drawn.pdf", tmp_path / "drawn.gif"
    drawn.write(module, files, pdf, pdf.with_suffix(".png"), gif)
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == (
        ["moons", "rings"][:lost]
    )
    text = " ".join(said)
    assert "moons" in text
    assert "diverged" in text
    assert "reduced budget: preset tiny; images drawn here" in text
    assert shown == ([["rings"]] * 2 if lost == 1 else [])
    assert ("Nothing to draw" in text) == (lost == 2)
    assert gif.stat().st_size > 0


def test_tallies_of_one_cell_add_up():
    both = conjugates.add([Tally.of(result(FINE), True), Tally.of(result([*LOST, *LOST]), True)])
    assert both is not None
    assert (both.points, both.not_converged) == (9, 4)
    assert both.norm_worst == pytest.approx(0.5)
    assert conjugates.add([]) is None
