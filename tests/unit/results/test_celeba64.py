"""The CelebA64 cells next to the published values: directions, improvement, verdict."""

from __future__ import annotations

import csv
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.unit import verdict_data
from tests.unit.settings import PAPER

from w2dual.config import arguments
from w2dual.config.names import words
from w2dual.records import InputError
from w2dual.report.latex import escape
from w2dual.report.tables import celeba64 as tables
from w2dual.report.tables import claims as claims_tables
from w2dual.results import celeba64 as images
from w2dual.results import claims, verdict

PUBLISHED = verdict_data.PUBLISHED


def settings(**changes: Any) -> images.ImageSettings:
    return images.ImageSettings.from_json(arguments.celeba64_table(PAPER) | changes)


def cell(row: Any, **given: Any) -> list[dict[str, Any]]:
    """Ours, with the published mean and std forward, and twice that inverse."""
    diverged: dict[str, Any] = {"diverged": 10} if row.diverged else {}
    mean, std = (1.0, 0.0) if row.diverged else (row.mean, row.std)
    kind = SimpleNamespace(
        dimension=12288, potential="conv", amortization=row.amortization, solver=row.solver
    )
    found = verdict_data.rows(kind, **{"mean": mean, "std": std, **diverged, **given})
    pair = images.pair_of(row.generator)
    for one in found:
        one |= {"pair": pair, "preset": "paper", "device": "GPU", "training_s": 7200.0}
        one["cell"] = f"{pair}-conv-{row.amortization}-{row.solver}"
        one["l2_uvp_inverse_percent"] = 2 * one["l2_uvp_forward_percent"]
        one |= {"conjugate_iterations_mean": 4.0, "conjugation_ms": 50.0}
        one |= {"conjugation_ms_low": 40.0, "conjugation_ms_high": 60.0}
    return found


def paper_rows() -> list[Any]:
    known = images.published(PUBLISHED)
    return list(known[known["source"] == "paper"].itertuples(index=False))


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return pd.DataFrame([one for row in paper_rows() for one in cell(row)])


def test_the_papers_own_numbers_give_its_improvement(frame: pd.DataFrame):
    """By our forward errors against quoted inverse ones, as the paper takes it."""
    found = images.tidy(frame, PUBLISHED, settings())
    factors = found.groupby("pair")["improvement_as_published"].max().round(1)
    with (PUBLISHED / "celeba64_improvement.csv").open() as stream:
        published = {row["generator"]: float(row["factor"]) for row in csv.DictReader(stream)}
    assert factors.to_dict() == published
    # Of one direction: our inverse errors are twice the forward ones, so half of it is left.
    like = found.groupby("pair")["improvement_factor"].max()
    assert like["early"] == pytest.approx(1.4 / (2 * 0.61))
    quoted = found[found["source"] == "quoted"]
    assert set(quoted["direction"]) == {"inverse"}
    assert len(quoted) == 9
    forward = found[(found["source"] == "ours") & (found["direction"] == "forward")]
    assert forward["published_mean"].notna().sum() == 22  # and two that are >100
    assert found[found["direction"] == "inverse"]["published_mean"].isna().all()


def test_the_table_says_directions_and_fits_its_rows(frame: pd.DataFrame):
    tex = tables.table_tex(images.tidy(frame, PUBLISHED, settings()), settings())
    assert "inferred" in tex
    assert "Stand-in" not in tex
    lines = [line for line in tex.splitlines() if line.endswith(r"\\")]
    assert len(lines) == 1 + 3 + 8 + 2  # heads, quoted, methods, improvement
    w2 = next(line for line in lines if "*[W2]" in line)
    assert w2.count("--") == 3  # no forward value of a quoted baseline
    assert "> $100" not in tex
    assert r"$>$100$^{(10/10)}$" in tex


def native_cell(row: Any, generator: str, forward: float, **given: Any) -> list[dict[str, Any]]:
    """One of the benchmark's own methods: inverse twice as high, best half of the last."""
    kind = SimpleNamespace(
        dimension=12288, potential=row.potential, amortization=row.amortization, solver=row.solver
    )
    found = verdict_data.rows(kind, **{"mean": forward, "std": 0.0, **given})[:5]
    for one in found:
        one |= {"pair": images.pair_of(generator), "preset": "paper", "steps": 15_001}
        one["l2_uvp_inverse_percent"] = 2 * one["l2_uvp_forward_percent"]
        for metric in images.METRICS.values():
            one[f"best_{metric}"] = one[metric] / 2 if one["status"] == "finished" else np.inf
    return found


def natives(**given: Any) -> pd.DataFrame:
    of = settings()
    rows = [
        one
        for number, row in enumerate(of.baselines.methods)
        for generator in of.generators
        for one in native_cell(row, generator, 4.0 + number, **given)
    ]
    return pd.DataFrame(rows)


def test_the_benchmarks_own_methods_stand_beside_their_quoted_values(frame: pd.DataFrame):
    """Best beside best, and the improvement by what is last, each in its direction."""
    found = images.tidy(frame, PUBLISHED, settings(), natives())
    native = found[found["source"] == images.NATIVE]
    assert len(native) == 3 * 3 * 2 * 2
    w2 = native[(native["name"] == "W2") & (native["pair"] == "mid")]
    means = w2.set_index(["direction", "evaluation"])["mean"].to_dict()
    assert means == {
        ("forward", "best"): 2.0,
        ("forward", "last"): 4.0,
        ("inverse", "best"): 4.0,
        ("inverse", "last"): 8.0,
    }
    assert set(native["seeds"]) == {5}
    assert set(native["iterations"]) == {15_001}
    early = found[found["pair"] == "early"]
    like = early.groupby("direction")["improvement_native"].max()
    assert like.to_dict() == pytest.approx({"forward": 4 / 0.61, "inverse": 8 / 1.22})
    without = images.tidy(frame, PUBLISHED, settings())
    for name in ("improvement_factor", "improvement_as_published"):  # of quoted values, as before
        assert found[name].max() == without[name].max()
    tex = tables.table_tex(found, settings())
    lines = [line for line in tex.splitlines() if line.endswith(r"\\")]
    assert len(lines) == 1 + 3 + 2 * 3 + 8 + 3
    assert "[W2], best & ConvICNN" in tex
    assert "[MM:R], last & ResNet" in tex
    assert "[MM] 15,001" in tex
    assert "chosen by the optimal map" in " ".join(tex.split())


def test_a_best_evaluation_is_never_bold_and_never_compared(frame: pd.DataFrame):
    low = natives()
    for metric in images.METRICS.values():
        low[f"best_{metric}"] = 0.001
    found = images.tidy(frame, PUBLISHED, settings(), low)
    chosen = found[(found["source"] == images.NATIVE) & (found["evaluation"] == images.BEST)]
    assert not chosen["best"].any()
    assert found["improvement_native"].max() > 1
    lacking = natives().assign(best_l2_uvp_forward_percent=float("nan"))
    with pytest.raises(InputError, match="cell w2_images, early: the metrics lack the best"):
        images.tidy(frame, PUBLISHED, settings(), lacking)
    with pytest.raises(InputError, match="conv_icnn, w2_images, none, late has seeds"):
        images.tidy(frame, PUBLISHED, settings(), natives().drop(index=14))


def test_a_diverged_native_seed_is_said_and_leaves_no_improvement(frame: pd.DataFrame):
    found = images.tidy(frame, PUBLISHED, settings(), natives(diverged=5))
    native = found[found["source"] == images.NATIVE]
    last = native[native["evaluation"] == images.LAST]
    assert last["above_limit"].all()
    assert set(native["diverged_seeds"]) == {5}
    assert found["improvement_native"].isna().all()


def test_marks_of_diverged_seeds_are_explained_whichever_rows_have_them(frame: pd.DataFrame):
    """Also where the benchmark's own methods alone have diverged, and in the table of costs."""
    sound = frame.assign(status="finished", l2_uvp_forward_percent=1.0, l2_uvp_inverse_percent=1.0)
    note, of, marked = "$k$ of $m$ seeds diverged", settings(), []
    tex = tables.table_tex(images.tidy(sound, PUBLISHED, of, natives()), of)
    assert (note in tex, "^{(" in tex) == (False, False)
    for one in (sound, frame):
        tex = tables.costs_tex(tables.costs_tidy(one, of), of, one["measures_source"])
        marked.append((note in tex, "^{(10/10)}$" in tex))
    tex = tables.table_tex(images.tidy(sound, PUBLISHED, of, natives(diverged=2)), of)
    assert "$^{(2/5)}$" in tex
    assert note in tex
    assert marked == [(False, False), (True, True)]


def claims_table(
    frame: pd.DataFrame, folder: Path, of: images.ImageSettings
) -> tuple[str, pd.DataFrame]:
    judged = images.judge(frame, folder, of)
    found = claims.judge(judged, of)
    return claims_tables.tex(found, judged, of), found


def test_a_stand_in_is_said_to_be_one(frame: pd.DataFrame):
    small = settings(dimensions=[3 * 16 * 16])
    made = frame.assign(measures_source="generated")
    # The paper's potential, and another one, of which no cell is judged.
    every = [
        table(of, PUBLISHED, small)[0]
        for of in (made, made.assign(potential="conv_small"))
        for table in (*tables.TABLES.values(), claims_table)
    ]
    for tex in every:
        assert r"\textbf{Stand-in measures}" in tex
        assert r"$16\times16$ pixels" in tex
    judged = images.judge(made, PUBLISHED, small)
    assert set(judged["verdict"]) == {verdict.INCONCLUSIVE}
    numbers = images.tidy(made, PUBLISHED, small)
    assert numbers[["improvement_factor", "improvement_as_published"]].isna().all(axis=None)
    worse = made.assign(l2_uvp_inverse_percent=made["l2_uvp_inverse_percent"] * 10)
    best = images.tidy(worse, PUBLISHED, small)
    best = best[best["best"] & (best["direction"] == "inverse")]
    assert set(best["source"]) == {"ours"}
    assert set(best["pair"]) == {"early", "mid", "late"}


def test_cells_of_another_potential_have_no_published_value(frame: pd.DataFrame):
    other = frame.assign(potential="conv_small")
    judged = images.judge(other, PUBLISHED, settings())
    assert set(judged["verdict"]) == {verdict.MISSING}
    tex = tables.verdict_tex(judged, settings())
    assert "No cell of this preset has a published value" in tex
    assert "Cells of the paper that this preset does not have: 24." in tex
    found = claims.judge(judged, settings())
    assert set(found["verdict"]) == {claims.MISSING}
    ours = images.tidy(other, PUBLISHED, settings())
    assert ours["published_mean"].isna().all()


def test_each_published_cell_is_judged_by_our_forward_errors(frame: pd.DataFrame, tmp_path: Path):
    judged = images.judge(frame, PUBLISHED, settings())
    assert len(judged) == 24
    early = judged[(judged["pair"] == "early") & (judged["solver"] != "none")]
    assert set(early["verdict"]) == {verdict.REPRODUCED}
    assert early["ours_inverse_mean"].tolist() == (2 * early["ours_mean"]).tolist()
    # Twice as high is worse, also where the inverse error would be as quoted.
    worse = paper_rows()[-1]
    rest = frame[frame["cell"] != f"celeba64_late-conv-{worse.amortization}-{worse.solver}"]
    other = pd.concat([rest, pd.DataFrame(cell(worse, mean=0.25, std=0.01))], ignore_index=True)
    assert images.judge(other, PUBLISHED, settings())["verdict"].iloc[-1] == verdict.WORSE

    judged.to_csv(tmp_path / "verdict.csv", index=False)
    found = claims.judge(verdict.read(tmp_path / "verdict.csv"), settings())
    assert list(found["claim"]) == [c.name for c in claims.CLAIMS if c.on_images]
    assert (found["verdict"] == found["published_verdict"]).all()
    assert (found["supported"] + found["contradicted"] + found["undecided"]).tolist() == [3, 6]


def test_the_other_l_bfgs_is_compared_with_the_same_rows(frame: pd.DataFrame):
    row = next(r for r in paper_rows() if (r.generator, r.solver) == ("mid", "lbfgs"))
    precise = row._replace(solver="lbfgs_high_precision")
    more = pd.concat([frame, pd.DataFrame(cell(precise))], ignore_index=True)
    judged = images.judge(more, PUBLISHED, settings())
    assert len(judged) == 25
    found = judged[judged["solver"] == "lbfgs_high_precision"].iloc[0]
    assert (found["published_mean"], found["verdict"]) == (row.mean, verdict.REPRODUCED)


def test_costs_are_of_a_seed(frame: pd.DataFrame):
    found = tables.costs_tidy(frame, settings())
    assert len(found) == 3 * 24
    solved = found[(found["pair"] == "late") & (found["solver"] == "lbfgs")]
    values = solved.groupby("quantity")["value"].first().to_dict()
    assert values == {"runtime_s": 720.0, "iterations": 4.0, "conjugation_ms": 5.0}
    tex = tables.costs_tex(found, settings(), frame["measures_source"])
    assert "Training time of one seed, in minutes" in tex


def test_costs_of_several_potentials_are_rows_of_their_own(frame: pd.DataFrame):
    other = frame.assign(potential="conv_small", training_s=2 * frame["training_s"])
    both = pd.concat([frame, other], ignore_index=True)
    found = tables.costs_tidy(both, settings())
    assert len(found) == 2 * 3 * 24
    tex = tables.costs_tex(found, settings(), both["measures_source"])
    rows = [line for line in tex.splitlines() if "Cycle & Adam &" in line]
    assert len(rows) == 2 * 3  # potentials, quantities
    labels = [escape(words(name)) for name in ("conv", "conv_small")]
    for label, minutes in zip(labels, ("12.0", "24.0"), strict=True):
        (row,) = [line for line in rows if line.startswith(label + " &") and minutes in line]
        assert row.count(minutes) == 3


def test_a_missing_cell_is_named(frame: pd.DataFrame):
    lacking = frame[frame["cell"] != "celeba64_mid-conv-cycle-adam"]
    for table in ("celeba64", "costs_celeba64"):
        with pytest.raises(InputError, match="no cell conv, cycle, adam, mid"):
            tables.TABLES[table](lacking, PUBLISHED, settings())
