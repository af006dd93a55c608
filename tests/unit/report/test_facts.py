"""What the report says of its cells as a whole."""

from pathlib import Path

import pandas as pd
import pytest
from tests.unit.config.changed import load
from tests.unit.report.report_data import MADE, PLANE, SOLVERS, loaded

from w2dual.config import arguments
from w2dual.provenance import Commit
from w2dual.records import InputError
from w2dual.report import facts


def test_box_only_where_it_is_due(frame: pd.DataFrame) -> None:
    full = loaded(preset={"name": "smoke", "label": "", "reduced": False})
    assert facts.warnings(frame, full) == []
    (only,) = facts.warnings(frame.assign(measures_source="generated"), full)
    assert "Measures generated here" in only
    assert "$n = 2$" in only


def test_budgets_of_rows_are_a_range_on_the_first_page(frame: pd.DataFrame) -> None:
    config = load(
        "{preset: {name: smoke, label: mine, reduced: true}, methods: {ours: {training: "
        "{iterations: 12500, batch_size: 512}}}, hd: {more_methods: [{method: ours}]}, "
        "celeba64: {generators: []}}"
    )
    settings = facts.ReportSettings.from_json(arguments.report(config, PLANE))
    found = dict(facts.facts(frame, settings, MADE))
    spent = "12,500 to 250,001 training iterations at batch size 512 to 1,024, 10 seeds per cell"
    assert found["Budget"] == spent
    reduced = facts.warnings(frame, settings)[0]
    assert "12,500 to 250,001 iterations and 10 seeds per cell, on the plane 50,001" in reduced


def test_date_is_given_by_the_environment_first(frame: pd.DataFrame) -> None:
    assert facts.origin({"SOURCE_DATE_EPOCH": "86400"}, frame).date_epoch == 86400
    with pytest.raises(InputError, match="SOURCE_DATE_EPOCH is 'now'"):
        facts.origin({"SOURCE_DATE_EPOCH": "now"}, frame)


def test_date_without_git_is_that_of_the_last_job(
    frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts.provenance, "commit", lambda: Commit(None, unknown="a test"))
    assert facts.origin({}, frame) == facts.Origin("unknown", 1_767_225_600)


def test_metrics_come_in_several_files_without_overlap(frame: pd.DataFrame, tmp_path: Path) -> None:
    whole = pd.read_csv(tmp_path / "hd.csv")
    for solver in SOLVERS:
        whole[whole["solver"] == solver].to_csv(tmp_path / f"{solver}.csv", index=False)
    parts = [tmp_path / f"{solver}.csv" for solver in SOLVERS]
    on_plane = tmp_path / "synthetic.csv"
    assert len(facts.read_metrics(parts, [])) == len(whole) == 4
    assert len(facts.read_metrics(parts, [on_plane])) == len(frame) == 10
    with pytest.raises(InputError, match="duplicate cell hd2-mlp-objective-none"):
        facts.read_metrics([*parts, parts[0]], [on_plane])
    with pytest.raises(InputError, match=r"hd.csv: lacks the columns sinkhorn_forward"):
        facts.read_metrics(parts, [tmp_path / "hd.csv"])
