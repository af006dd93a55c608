"""What the report says of each cell's run."""

import pandas as pd
from tests.unit.report.report_data import SOLVERS, loaded

from w2dual.report import runs
from w2dual.report.latex import escape


def test_runs_say_what_happened_in_training(frame: pd.DataFrame) -> None:
    lines = runs.diverged_lines(frame, loaded())
    cell = escape(f"hd2-mlp-objective-{SOLVERS[0]}")
    assert f"{cell}: seed 1 at step 17; 0.24 before." in lines
    assert len(lines) == 2  # and one on the plane
    row = next(row for row in runs.run_rows(frame, loaded()) if "BFGS" in row[3])
    # Of each seed: 6,000 of 6,400 points in training, 90 of 100 at the end, and 2 spikes.
    assert row[-3:] == ["93.8 / 90.0", "0.5", "4"]


def test_run_rows_follow_the_methods_order_then_the_plane_by_pair(frame: pd.DataFrame) -> None:
    rows = runs.run_rows(frame, loaded())
    assert [row[0] for row in rows] == ["$n=2$", "$n=2$", "moon", "moon", "8 Gaussians"]
    assert [row[1] for row in rows[2:]] == ["ICNN, leaky ReLU", "ICNN, softplus"] + [
        "ICNN, leaky ReLU"
    ]
    assert [row[3] for row in rows] == ["None"] + ["L-{}BFGS"] * 4
    assert [row[4] for row in rows] == ["1/2", "2/2", "2/2", "2/2", "1/2"]
    assert [row[8] for row in rows] == ["--"] + ["93.8 / 90.0"] * 4
