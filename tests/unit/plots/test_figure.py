"""What a figure says of the points that it draws."""

import logging
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from w2dual.conjugate import ConjugateResult, Status
from w2dual.conjugate import tally as conjugates
from w2dual.conjugate.tally import Tally
from w2dual.plots import figure as drawn

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


def test_tallies_of_one_cell_add_up():
    both = conjugates.add([Tally.of(result(FINE), True), Tally.of(result([*LOST, *LOST]), True)])
    assert both is not None
    assert (both.points, both.not_converged) == (9, 4)
    assert both.norm_worst == pytest.approx(0.5)
    assert conjugates.add([]) is None
