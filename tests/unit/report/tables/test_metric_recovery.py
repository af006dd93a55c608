"""The table of recovered metrics, on hand-made metrics."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from w2dual.measures.snapshots.alignment import CHANCE
from w2dual.records import InputError
from w2dual.report.tables import metric_recovery as table
from w2dual.report.tables.metric_recovery import RecoverySettings

PUBLISHED = Path(__file__).parents[4] / "tables/published"
SETS = ["circle", "x_paths"]


def settings(**changes: Any) -> RecoverySettings:
    preset = {"name": "paper", "label": "the paper's settings", "reduced": False}
    budget = {"iterations": 3001, "batch_size": 100, "seeds": [0, 1], "evaluation_samples": 100}
    record = {"sets": SETS, "methods": ["metric_recovery"], "grid": 100}
    record |= {"preset": preset, "budget": budget, "baselines": []}
    record["steps"] = {"metric_recovery": dict.fromkeys(SETS, 3001)}
    return RecoverySettings.from_json(record | changes)


def metrics(diverged: str = "") -> pd.DataFrame:
    rows = []
    for name, values in (("circle", (0.99, 0.97)), ("x_paths", (0.95, 0.95))):
        for seed, value in enumerate(values):
            status = "diverged" if name == diverged and seed == 0 else "finished"
            rows.append(
                {"cell": f"{name}-metric_recovery", "pair": name, "seed": seed}
                | {"amortization": "metric_recovery", "alignment": value, "status": status}
                | {"preset": "paper", "measures_source": "generated"}
            )
    return pd.DataFrame(rows)


def test_ours_stand_above_the_published_values_and_chance():
    frame = table.tidy(metrics(), None, PUBLISHED, settings())
    ours = frame.query("source == 'ours'").set_index("set")
    assert [ours[name]["circle"] for name in ("mean", "std")] == pytest.approx([0.98, 0.01])
    known = frame.query("source == 'published'").set_index(["name", "set"])["mean"]
    assert known["Metric learning with NLOT", "x_paths"] == 0.957
    assert known["Scarvelis and Solomon (2023)", "circle"] == 0.995
    assert set(frame["set"]) == set(SETS)
    assert set(frame[frame["source"] == "chance"]["mean"]) == {CHANCE}
    text = table.tex(frame, settings())
    assert r"0.980 {\scriptsize$\pm$0.010}" in text
    assert r"0.997 {\scriptsize$\pm$0.002}" in text
    assert "generated here" in text
    assert "Reduced budget" not in text


def test_the_claim_is_decided_on_the_published_samples_alone():
    """Ours are 0.98 and 0.95; theirs 0.995 and 0.916."""
    frame = table.tidy(metrics(), None, PUBLISHED, settings())
    assert table.claim(frame, "metric_recovery") == (1, 2, "inconclusive")
    of_files = metrics().assign(measures_source="file")
    frame = table.tidy(of_files, None, PUBLISHED, settings())
    assert table.claim(frame, "metric_recovery") == (1, 2, "holds")
    frame = table.tidy(of_files.assign(alignment=0.9), None, PUBLISHED, settings())
    assert table.claim(frame, "metric_recovery") == (0, 2, "fails")
    assert r"0 of 2 sets: \textbf{fails}" in table.tex(frame, settings())
    lost = metrics("x_paths").assign(measures_source="file")  # a mean that is infinite
    frame = table.tidy(lost, None, PUBLISHED, settings())
    assert table.claim(frame, "metric_recovery") == (0, 2, "fails")
    preset = {"name": "paper", "label": "less", "reduced": True}
    frame = table.tidy(of_files, None, PUBLISHED, settings(preset=preset))
    assert table.claim(frame, "metric_recovery")[2] == "inconclusive"


def test_the_baseline_trained_here_is_a_row_that_ours_are_compared_with():
    """On the same samples; it is no row that the talk's claim is about."""
    steps = {"circle": 20300, "x_paths": 40600}
    both = settings(
        methods=["metric_recovery", "scarvelis"],
        baselines=["scarvelis"],
        steps={"metric_recovery": dict.fromkeys(SETS, 3001), "scarvelis": steps},
    )
    theirs = metrics().assign(amortization="scarvelis", alignment=[0.9, 0.9, 0.96, 0.96])
    frame = table.tidy(pd.concat([metrics(), theirs]), None, PUBLISHED, both)
    row = frame[frame["name"] == "scarvelis"].set_index("set")
    assert row["mean"].to_dict() == pytest.approx({"circle": 0.9, "x_paths": 0.96})
    assert row["iterations"].to_dict() == steps
    text = table.tex(frame, both)
    assert r"Scarvelis and Solomon, trained here & 0.900" in text
    assert "Metric recovery 3,001; Scarvelis and Solomon, trained here 20,300, 40,600." in text
    assert r"\textbf{The weight of the regularisation is inferred}" in text
    assert "is above the row Scarvelis and Solomon, trained here on 1 of 2 sets." in text
    assert text.count("Claim (talk)") == 1
    lost = theirs.assign(status="diverged", alignment=float("nan"))
    frame = table.tidy(pd.concat([metrics(), lost]), None, PUBLISHED, both)
    assert "trained here on 2 of 2 sets." in table.tex(frame, both)


def test_weights_that_a_user_has_are_a_row_of_their_own():
    scores = pd.DataFrame([{"set": "x_paths", "alignment": 0.91618}])
    frame = table.tidy(metrics(), scores, PUBLISHED, settings())
    row = frame[frame["source"] == "weights"]
    assert row[["set", "mean"]].values.tolist() == [["x_paths", 0.91618]]
    assert r"scored here & -- & 0.916 \\" in table.tex(frame, settings())


def test_what_diverged_or_is_reduced_is_said():
    preset = {"name": "smoke", "label": "a test", "reduced": True}
    frame = table.tidy(metrics("circle"), None, PUBLISHED, settings())
    assert "diverged (1/2)" in table.tex(frame, settings())
    assert "Reduced budget" in table.tex(frame, settings(preset=preset))


def test_a_cell_that_lacks_a_seed_fails_the_table():
    with pytest.raises(InputError, match=r"cell x_paths, metric_recovery has seeds \[0\]"):
        table.tidy(metrics().iloc[:3], None, PUBLISHED, settings())
