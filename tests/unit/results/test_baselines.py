"""The benchmark's own methods beside their published values: a word for each, and the table."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.unit.settings import PAPER

from w2dual.config import arguments
from w2dual.records import InputError
from w2dual.report.tables import baselines as table
from w2dual.results import aggregate, baselines
from w2dual.results.published import read_published
from w2dual.results.verdict import VerdictSettings

PUBLISHED = Path(__file__).parents[3] / "tables" / "published"
SETTINGS = replace(
    VerdictSettings.from_json(arguments.baselines_table(PAPER)),
    dimensions=(2, 128),
    methods=(("w2", "none"), ("mm_r", "none"), ("mine", "none")),
)


def frame(
    best: dict[tuple[str, int], list[float]],
    last: float = 0.3,
    methods: tuple[tuple[str, str], ...] = SETTINGS.methods,
    **changes: Any,
) -> pd.DataFrame:
    rows = []
    for method, solver in methods:
        for n in SETTINGS.dimensions:
            values = best.get((method, n), [0.2, 0.21, 0.2, 0.19, 0.2])
            for seed, value in enumerate(values):
                rows.append(
                    {"cell": f"hd{n}-{method}", "amortization": method, "solver": solver}
                    | {"dimension": n, "seed": seed, "status": "finished", "preset": "paper"}
                    | {"l2_uvp_forward_percent": last, "l2_uvp_inverse_percent": last}
                    | {"best_l2_uvp_forward_percent": value, "best_l2_uvp_inverse_percent": value}
                    | {"measures_source": "mirror"}
                    | changes
                )
    return aggregate.tidy(rows)


def words(found: pd.DataFrame) -> dict[tuple[str, int], str]:
    return {(row.method, row.dimension): row.verdict for row in found.itertuples()}  # type: ignore[misc]


def test_the_best_of_a_run_is_compared_with_the_published_one():
    # [W2] has 0.1 at n = 2 and 2.0 at n = 128; [MM:R] diverges from the start at n = 128.
    best = {
        ("w2", 2): [0.13, 0.14, 0.12, 0.13, 0.13],  # 0.1 may be 0.15
        ("w2", 128): [2.6, 2.62, 2.6, 2.58, 2.6],
        ("mm_r", 2): [0.3, 0.5, 0.2, 0.05, 0.25],
    }
    found = words(baselines.tidy(frame(best), PUBLISHED, SETTINGS))
    assert found == {
        ("w2", 2): "reproduced",
        ("w2", 128): "worse",
        ("mm_r", 2): "inconclusive",
        ("mm_r", 128): "better",
        ("mine", 2): "inconclusive",
        ("mine", 128): "inconclusive",
    }
    lower = words(
        baselines.tidy(frame({("w2", 128): [1.1, 1.12, 1.1, 1.1, 1.1]}), PUBLISHED, SETTINGS)
    )
    assert lower["w2", 128] == "better"


def test_diverged_here_and_there_is_as_published():
    runs = frame({})
    lost = (runs["cell"] == "hd128-mm_r") & (runs["seed"] == 1)
    runs.loc[lost, "status"] = "diverged"
    runs.loc[lost, "l2_uvp_forward_percent"] = math.nan
    found = baselines.tidy(runs, PUBLISHED, SETTINGS)
    assert words(found)["mm_r", 128] == "diverged as published"
    row = found[(found["method"] == "mm_r") & (found["dimension"] == 128)].iloc[0]
    assert (row["seeds"], row["diverged_seeds"]) == (5, 1)
    assert math.isinf(row["last_mean"])
    assert row["best_mean"] == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("settings", "changes", "reason"),
    [
        ({"reduced": True}, {}, "reduced budget"),
        ({"min_seeds": 6}, {}, "too few seeds: 5, needed 6"),
        ({}, {"measures_source": "generated"}, "measures generated here"),
    ],
)
def test_what_cannot_be_judged_says_why(
    settings: dict[str, Any], changes: dict[str, Any], reason: str
):
    found = baselines.tidy(frame({}, **changes), PUBLISHED, replace(SETTINGS, **settings))
    assert set(found["verdict"]) == {"inconclusive"}
    assert found["reason"].str.contains(reason).all()


def test_metrics_without_a_best_are_refused():
    older = frame({})
    older.loc[older["cell"] == "hd2-w2", "best_l2_uvp_forward_percent"] = math.nan
    with pytest.raises(
        InputError, match="cell w2, none, n = 2: the metrics lack the best evaluation"
    ):
        baselines.tidy(older, PUBLISHED, SETTINGS)
    with pytest.raises(InputError, match="no cell w2, none, n = 2"):
        baselines.tidy(older[older["cell"] != "hd2-w2"], PUBLISHED, SETTINGS)


def test_a_seed_without_a_finite_evaluation_is_no_fault_of_the_metrics():
    runs = frame({("w2", 2): [0.1, 0.1, 0.1, 0.1, math.inf]})
    row = baselines.tidy(runs, PUBLISHED, SETTINGS).iloc[0]
    assert (row["verdict"], row["reason"]) == ("worse", "a seed had no finite evaluation")
    assert math.isinf(row["best_mean"])


def test_what_is_not_as_published_stands_on_the_table():
    both = (("qc", "none"), ("mmv1", "none"), ("enot_pairs", "none"))
    chosen = replace(SETTINGS, methods=both)
    text = table.tex(baselines.tidy(frame({}, methods=both), PUBLISHED, chosen), chosen)
    assert r"\textbf{[QC]}: its h is another" in text
    assert "[MMv1]}:" not in text  # it is as published
    assert r"\textbf{[ENOT, given the true pairs]}: a diagnosis" in text
    names = set(baselines.published_values(PUBLISHED)["name"])
    rows = {entry["method"] for entry in PAPER["baselines"]["methods"]}
    assert table.NOTES.keys() <= names | rows


def test_rows_of_one_name_are_told_apart_by_their_solver():
    both = (("w2", "none"), ("w2", "lbfgs"))
    runs = frame({}, methods=both)
    runs.loc[runs["solver"] == "lbfgs", "best_l2_uvp_forward_percent"] = 0.7
    chosen = replace(SETTINGS, methods=both)
    found = baselines.tidy(runs, PUBLISHED, chosen)
    best = found.set_index(["method", "solver", "dimension"])["best_mean"].to_dict()
    assert best["w2", "none", 2] == pytest.approx(0.2)
    assert best["w2", "lbfgs", 2] == pytest.approx(0.7)
    text = table.tex(found, chosen)
    assert r"{[W2]} & forward, published & 0.1 & 2.0 \\" in text
    assert r"{[W2, L-{}BFGS]} & forward, published & -- & -- \\" in text


def test_the_table_has_both_directions_and_the_benchmarks_marks():
    tidy = baselines.tidy(frame({}, last=120.0), PUBLISHED, SETTINGS)
    text = table.tex(tidy, SETTINGS)
    assert r"{[W2]} & forward, published & 0.1 & 2.0 \\" in text
    assert r"{[MM:R]} & forward, published & 0.1 & $\times$ \\" in text
    assert r"{[mine]} & forward, published & -- & -- \\" in text
    assert r"forward, best of a run & 0.20 {\scriptsize$\pm$0.01}" in text
    assert r"inverse, last & $>$100 & $>$100 \\" in text
    assert "Reduced budget" not in text
    assert "linear programme" not in text
    assert "inferred." not in text
    assert "preset smoke" in table.tex(
        tidy, replace(SETTINGS, reduced=True, preset="smoke", label="a test")
    )


def test_the_published_table_is_whole_and_agrees_with_the_rows_that_the_paper_quotes():
    found = baselines.published_values(PUBLISHED)
    assert len(found) == 13 * 8
    ours = {entry["method"] for entry in PAPER["baselines"]["methods"]}
    since = {name for name in ours if PAPER["methods"][name]["kind"] == "enot"}
    assert set(found["method"]) - {""} == ours - since < set(PAPER["methods"])
    assert found["diverged"].value_counts().to_dict() == {"": 97, "after": 5, "start": 2}
    assert found[found["mean"].isna()]["diverged"].tolist() == ["start", "start"]
    quoted = read_published(PUBLISHED / "hd_baselines.csv", ["name", "dimension", "mean"])
    both = quoted.merge(found, on=["name", "dimension"], suffixes=("", "_benchmark"))
    assert len(both) == len(quoted)
    assert (both["mean"] == both["mean_benchmark"]).all()
