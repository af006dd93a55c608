"""The verdict on hand-made results: equal, different, too few seeds, diverged, reduced, missing."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.unit.verdict_data import (
    PUBLISHED,
    SEEDS,
    as_published,
    settings,
    settings_json,
    with_cell,
)
from tests.unit.verdict_data import (
    values as values_of,
)

from w2dual.__main__ import main
from w2dual.records import InputError
from w2dual.report.latex import build_pdf
from w2dual.report.tables import claims as claims_table
from w2dual.report.tables import verdict as verdict_table
from w2dual.results import baselines, claims, verdict
from w2dual.results.published import read_published

MLP = "hd8-mlp-regression-lbfgs"  # published: 0.61 +- 0.04
BEYOND = "hd64-mlp-objective-none"  # published: >100
WIDE = "hd8-mlp-cycle-adam"  # published: 1.62 +- 2.82


def judge(frame, given=None):
    given = settings() if given is None else given
    return verdict.judge(verdict.cell_rows(frame, PUBLISHED, given), given)


def word_of(judged, name):
    pair, potential, amortization, solver = name.split("-")
    found = judged[
        (judged["dimension"] == int(pair.removeprefix("hd")))
        & (judged["potential"] == potential)
        & (judged["amortization"] == amortization)
        & (judged["solver"] == solver)
    ]
    assert len(found) == 1
    return found.iloc[0]


@pytest.fixture(scope="module")
def equal():
    return as_published()


def test_the_papers_own_numbers_never_differ_from_themselves(equal):
    judged = judge(equal)
    found = verdict.counts(judged)
    assert sum(found.values()) == 128
    assert (found["better"], found["worse"], found["missing"]) == (0, 0, 0)
    assert found["diverged as published"] == judged["published_diverged"].sum() == 31
    assert found["reproduced"] == 75  # as docs/reviewers.md says, of 128 - 31
    assert word_of(judged, MLP)["verdict"] == "reproduced"
    assert word_of(judged, WIDE)["verdict"] == "inconclusive"
    assert "vary too much" in word_of(judged, WIDE)["reason"]


@pytest.mark.parametrize(
    ("name", "given", "word"),
    [
        pytest.param(MLP, {"mean": 0.61, "std": 0.04}, "reproduced", id="equal"),
        pytest.param(MLP, {"mean": 0.66, "std": 0.02}, "reproduced", id="different-within-margin"),
        pytest.param(MLP, {"mean": 0.91, "std": 0.04}, "worse", id="higher"),
        pytest.param(MLP, {"mean": 0.31, "std": 0.04}, "better", id="lower"),
        pytest.param(MLP, {"mean": 0.76, "std": 0.04}, "worse", id="higher-by-margin"),
        pytest.param(MLP, {"mean": 0.7, "std": 0.6}, "inconclusive", id="varies"),
        pytest.param(MLP, {"mean": 0.61, "std": 0.04, "diverged": 1}, "worse", id="one-diverged"),
        pytest.param(
            MLP,
            {"mean": 0.61, "std": 0.04, "diverged": 1, "before": None},
            "reproduced",
            id="one-ended-early-as-good",
        ),
        pytest.param(MLP, {"mean": 150.0, "std": 1.0}, "worse", id="above-limit"),
        pytest.param(BEYOND, {"mean": 2.0, "std": 0.1}, "better", id="finite-not-in-paper"),
        pytest.param(
            BEYOND, {"mean": 2.0, "std": 0.1, "diverged": 1}, "diverged as published", id="diverged"
        ),
        pytest.param(
            BEYOND,
            {"mean": 2.0, "std": 0.1, "diverged": 10, "before": 33.0},
            "better",
            id="all-diverged-below-the-limit",
        ),
        pytest.param(
            BEYOND, {"mean": 300.0, "std": 9.0}, "diverged as published", id="mean-above-limit"
        ),
    ],
)
def test_words(equal, name, given, word):
    assert word_of(judge(with_cell(equal, name, **given)), name)["verdict"] == word


def test_a_seed_that_ended_early_counts_at_its_last_evaluation(equal):
    """As in the paper's tables, which take the last row of each run; the reason says so."""
    one = {"mean": 0.61, "std": 0.04, "diverged": 1}
    row = word_of(judge(with_cell(equal, MLP, before=0.9, **one)), MLP)
    values = values_of(0.61, 0.04, 10)
    assert row["ours_mean"] == pytest.approx((0.9 + values[1:].sum()) / 10)
    assert (row["ours_diverged_seeds"], row["ours_diverged"]) == (1, False)
    assert "1 of 10 seeds diverged and count at their last evaluation" in row["reason"]
    row = word_of(judge(with_cell(equal, MLP, before=5000.0, **one)), MLP)
    assert (row["verdict"], row["ours_diverged"]) == ("worse", True)


def test_too_few_seeds_are_inconclusive_whatever_they_say():
    seeds = SEEDS[:4]
    judged = judge(as_published(seeds=seeds), settings(seeds))
    assert set(judged["verdict"]) == {"inconclusive"}
    assert set(judged["reason"]) == {"too few seeds: 4, needed 5"}
    assert judged["p_equivalent_holm"].isna().all()


@pytest.mark.parametrize("seeds", [SEEDS, SEEDS[:1]])
def test_a_reduced_preset_never_says_reproduced(seeds):
    judged = judge(as_published(seeds=seeds), settings(seeds, reduced=True))
    assert set(judged["verdict"]) == {"inconclusive"}
    assert judged["reason"].str.contains("reduced budget").all()


def test_measures_generated_anew_are_inconclusive(equal):
    other = with_cell(equal, MLP, mean=0.61, std=0.04, source="generated")
    assert word_of(judge(other), MLP)["verdict"] == "inconclusive"
    judged = judge(other)
    assert "generated here" in word_of(judged, MLP)["reason"]
    found = claims.judge(judged, settings())
    for tex in (
        verdict_table.tex(judged, settings()),
        claims_table.tex(found, judged, settings()),
    ):
        assert r"\textbf{Measures generated here} for $n = 8$" in tex


def test_a_cell_that_the_preset_lacks_is_missing(equal):
    judged = judge(equal[equal["cell"] != MLP])
    assert word_of(judged, MLP)["verdict"] == "missing"
    assert (judged["verdict"] == "missing").sum() == 1


def test_a_lacking_seed_is_an_error_and_named(equal):
    with pytest.raises(InputError, match="mlp, regression, lbfgs, n=8 has seeds"):
        judge(equal[(equal["cell"] != MLP) | (equal["seed"] != 3)])


def test_the_margin_is_a_fraction_of_the_mean_and_not_below_its_floor(equal):
    judged = judge(equal)
    assert word_of(judged, MLP)["margin"] == pytest.approx(0.25 * 0.61)
    assert word_of(judged, "hd2-mlp-objective-lbfgs")["margin"] == 0.02


def test_numbers_of_a_row(equal):
    row = word_of(judge(with_cell(equal, MLP, mean=0.7, std=0.04)), MLP)
    # Welch by hand: both of variance 0.0016 10/9, 10 seeds each, 18 degrees of freedom.
    error = math.sqrt(2 * 0.0016 / 9)
    assert row["difference"] == pytest.approx(0.09)
    assert row["interval_high"] - row["difference"] == pytest.approx(1.7340636 * error, rel=1e-6)
    assert row["ours_seeds"] == 10


def test_holm_counts_the_cells_of_a_table_alone(equal):
    """As many tests as that potential has cells with two numbers."""
    judged: Any = judge(equal)
    tested = judged[judged["potential"] == "mlp"].dropna(subset=["p_equivalent_holm"])
    smallest = tested.loc[tested["p_equivalent"].idxmin()]
    assert smallest["p_equivalent_holm"] == pytest.approx(len(tested) * smallest["p_equivalent"])


# ---------------------------------------------------------------- claims


def test_the_paper_bears_its_claims_out(equal):
    found = claims.judge(judge(equal), settings()).set_index("claim")
    words = found["published_verdict"].to_dict()
    assert words == found["verdict"].to_dict()  # ours are the same numbers
    assert words["fine-tuning helps"] == "holds"
    assert words["the MLP beats the ICNN"] == "holds"
    assert words["the objective loss without a solver diverges from n = 32"] == "holds"
    less: Any = found.loc["the amortization loss matters less with fine-tuning"]
    assert less["published_supported"] > less["published_contradicted"]


def test_each_claim_fails_on_numbers_that_refute_it(equal):
    frame = equal.copy()
    solved, icnn = frame["solver"] != "none", frame["potential"] == "icnn"
    value = pd.Series(5.0, frame.index) + 0.01 * frame["seed"]
    value[~solved] = 1.0 + 0.01 * frame["seed"]  # a solver makes it worse ...
    value[solved & (frame["amortization"] == "cycle")] += 20.0  # ... and losses differ more with it
    value[icnn] /= 2.0  # and the ICNN is better
    frame["l2_uvp_forward_percent"], frame["status"] = value, "finished"
    found = claims.judge(judge(frame), settings()).set_index("claim")
    words = found["verdict"].to_dict()
    assert words.pop("the objective loss without a solver diverges from n = 32") == "mixed"
    assert set(words.values()) == {"fails"}


def test_claims_need_the_full_budget_and_enough_seeds(equal):
    judged = judge(equal, settings(reduced=True))
    assert set(claims.judge(judged, settings(reduced=True))["verdict"]) == {"inconclusive"}
    few = SEEDS[:3]
    judged = judge(as_published(seeds=few), settings(few))
    assert set(claims.judge(judged, settings(few))["verdict"]) == {"inconclusive"}


def test_a_claim_without_its_cells_is_missing(equal):
    judged = judge(equal[equal["potential"] == "icnn"])
    found = claims.judge(judged, settings()).set_index("claim")
    assert found.loc["the MLP beats the ICNN", "verdict"] == "missing"


def prior_work(last: float) -> claims.PriorWork:
    """The paper's quoted values, methods of the benchmark that all end at a value, and a later one.

    The later one ends at a far lower value.
    """
    ends = {("w2", "W2"): last, ("mm", "MM"): last, ("enot", ""): last / 1000}
    rows = [
        dict(method=method, name=name, solver="none", dimension=n, last_mean=value)
        | {"last_std": 0.1 * value, "seeds": 5}
        for (method, name), value in ends.items()
        for n in (2, 4, 8, 16, 32, 64, 128, 256)
    ]
    native = pd.DataFrame(rows, columns=list(baselines.COLUMNS))
    return claims.PriorWork(
        native,
        read_published(PUBLISHED / "hd_baselines.csv", ["name", "dimension", "mean"]),
        read_published(PUBLISHED / "hd_improvement.csv", ["potential", "dimension", "factor"]),
    )


@pytest.mark.parametrize(
    ("last", "word", "factor"), [(9.0, "holds", "300.0"), (0.001, "fails", "0.0")]
)
def test_the_improvement_is_over_methods_that_ran_here(equal, last, word, factor):
    found = claims.judge(judge(equal), settings(), prior_work(last)).set_index("claim")
    row: Any = found.loc["it improves on prior work"]
    assert row["verdict"] == word
    assert row["published_verdict"] == "holds"
    assert row["published_supported"] == 8
    assert f"{factor} (n = 2)" in row["check"]
    # 0.3 / 0.22, 0.9 / 0.60 and 4.2 / 1.97 of the paper's own entries.
    assert row["check"].endswith(
        "do not follow from its own entries at n = 4 (printed 3.1, by its entries 1.4), n = 8 "
        "(printed 3, by its entries 1.5), n = 32 (printed 2.7, by its entries 2.1); they leave out "
        "[MM]."
    )


def test_what_came_after_the_paper_is_no_prior_work(tmp_path: Path):
    prior = prior_work(9.0)
    prior.native.to_csv(tmp_path / "native.csv", index=False)
    read = claims.PriorWork.read(tmp_path / "native.csv", PUBLISHED)
    for work in (prior, read):
        assert {method for _, method, *_ in work.cells("ours")} == {"w2, none", "mm, none"}


def test_what_the_printed_factors_leave_out_is_found_not_known():
    paper: claims.Cells = {("mlp", "x", "none", 2): claims.Result(1.0, 0.0, 10.0)}
    values = {"MM": 1.4, "W2": 3.0, "MMv2": 5.0}
    paper |= {(claims.PRIOR, k, "none", 2): claims.Result(v, 0.0, 2.0) for k, v in values.items()}
    prior = prior_work(1.0)

    def said(factor: float) -> str:
        printed = pd.DataFrame([{"potential": "mlp", "dimension": 2, "factor": factor}])
        return replace(prior, printed=printed).words({}, paper)

    assert said(1.4) == ""
    assert said(3.0).endswith("n = 2 (printed 3, by its entries 1.4); they leave out [MM].")
    assert said(2.0).endswith("n = 2 (printed 2, by its entries 1.4).")


@pytest.mark.parametrize(
    ("numbers", "word"),
    [
        ((0, 0, 0), "missing"),
        ((4, 0, 4), "holds"),
        ((3, 0, 4), "mixed"),
        ((7, 1, 0), "mixed"),
        ((1, 2, 9), "fails"),
    ],
)
def test_words_of_claims(numbers, word):
    assert claims.word(*numbers) == word


# ---------------------------------------------------------------- jobs


def run(folder, frame, given):
    metrics = folder / "metrics.csv"
    frame.to_csv(metrics, index=False)
    shared = ["--settings", json.dumps(given)]
    out = {name: folder / name for name in ("v.tex", "v.csv", "c.tex", "c.csv", "v.pdf", "v.png")}
    code = main(
        ["verdict", "--metrics", str(metrics), "--published", str(PUBLISHED), *shared]
        + ["--tex", str(out["v.tex"]), "--csv", str(out["v.csv"])]
    )
    code += main(
        ["claims", "--verdict", str(out["v.csv"]), *shared]
        + ["--tex", str(out["c.tex"]), "--csv", str(out["c.csv"])]
    )
    code += main(
        ["verdict-figure", "--verdict", str(out["v.csv"])]
        + ["--pdf", str(out["v.pdf"]), "--png", str(out["v.png"])]
    )
    assert code == 0
    return out


def test_jobs_write_the_same_bytes_twice(equal, tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        folder.mkdir()
        run(folder, equal, settings_json())
    for path in one.iterdir():
        assert path.read_bytes() == (other / path.name).read_bytes(), path.name


def test_a_reduced_table_says_so(equal, tmp_path):
    out = run(tmp_path, equal, settings_json(reduced=True))
    for name in ("v.tex", "c.tex"):
        assert "Reduced budget" in out[name].read_text()
    text = verdict_table.summary(
        verdict.read(out["v.csv"]), verdict.read(out["c.csv"], claims.COLUMNS)
    )
    assert "no cell can be called reproduced" in text


def test_the_summary_counts(equal):
    judged = judge(with_cell(equal, MLP, mean=5.0, std=0.1))
    text = verdict_table.summary(judged, claims.judge(judged, settings()))
    assert "128 cells" in text
    assert "1 worse" in text
    assert "31 diverged as published" in text


@pytest.mark.tex
def test_tables_are_latex(equal, tmp_path):
    out = run(tmp_path, equal, settings_json())
    document = (
        r"\documentclass{article}\usepackage{booktabs,graphicx,lmodern}\begin{document}"
        r"\input{v.tex}\clearpage\input{c.tex}\end{document}"
    )
    build_pdf(document, {name: out[name] for name in ("v.tex", "c.tex")}, tmp_path / "d.pdf", 0)
    assert (tmp_path / "d.pdf").stat().st_size > 1000
