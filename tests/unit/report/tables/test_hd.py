"""Tables on hand-built frames: statistics, the >100 convention, marks, notes, refusals."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from w2dual.jobs import table as table_job
from w2dual.jobs import trivial_table as trivial_table_job
from w2dual.records import InputError
from w2dual.report.latex import build_pdf, error_lines, escape
from w2dual.report.tables import hd
from w2dual.results import summary
from w2dual.results.aggregate import HD, columns

PUBLISHED = Path(__file__).parents[4] / "tables" / "published"
METHODS = [
    {"amortization": "cycle", "solver": "none"},
    {"amortization": "objective", "solver": "lbfgs"},
    {"amortization": "regression", "solver": "adam"},
]


def settings(**changes: Any) -> dict[str, Any]:
    return {
        "dimensions": [2, 4],
        "methods": METHODS,
        "decimals": 2,
        "diverged_above": 100.0,
        "preset": {"name": "paper", "label": "the paper's settings", "reduced": False},
        "budget": {"iterations": 250001, "seeds": [0, 1], "batch_size": 1024}
        | {"evaluation_samples": 16384},
    } | changes


def metrics(
    values: dict[tuple[str, str, int], list[float | None]],
    *,
    potential: str = "mlp",
    preset: str = "paper",
    sources: dict[int, str] | None = None,
    before: float = 1e4,
) -> pd.DataFrame:
    """Build tidy metrics from the L2-UVP of each seed; None is one that diverged from `before`."""
    rows = []
    for (amortization, solver, n), seeds in values.items():
        for seed, value in enumerate(seeds):
            row = dict.fromkeys(columns(HD))
            row |= {"cell": f"hd{n}-{potential}-{amortization}-{solver}", "pair": f"hd{n}"}
            row |= {"dimension": n, "potential": potential, "amortization": amortization}
            row |= {"solver": solver, "seed": seed, "preset": preset}
            row |= {"status": "diverged" if value is None else "finished"}
            row |= {"l2_uvp_forward_percent": math.nan if value is None else value}
            row |= {"before_divergence": before if value is None else None}
            row |= {"measures_source": (sources or {}).get(n, "mirror")}
            rows.append(row)
    return pd.DataFrame(rows, columns=list(columns(HD)))


def full(**changes: list[float | None]) -> dict[tuple[str, str, int], list[float | None]]:
    values: dict[tuple[str, str, int], list[float | None]] = {
        ("cycle", "none", 2): [0.30, 0.50],
        ("cycle", "none", 4): [1.0, 1.0],
        ("objective", "lbfgs", 2): [0.031, 0.031],
        ("objective", "lbfgs", 4): [0.20, 0.24],
        ("regression", "adam", 2): [0.033, 0.033],
        ("regression", "adam", 4): [0.5, 0.5],
    }
    for key, value in changes.items():
        amortization, solver, n = key.split("_")
        values[amortization, solver, int(n)] = value
    return values


def tidy(frame: pd.DataFrame, **changes: Any) -> tuple[pd.DataFrame, summary.TableSettings]:
    chosen = summary.TableSettings.from_json(settings(**changes))
    return summary.hd_tidy(frame, "mlp", PUBLISHED, chosen), chosen


def entry(frame: pd.DataFrame, amortization: str, solver: str, n: int) -> pd.Series:
    found = frame[
        (frame["source"] == "ours")
        & (frame["amortization"] == amortization)
        & (frame["solver"] == solver)
        & (frame["dimension"] == n)
    ]
    assert len(found) == 1
    return found.iloc[0]


def test_mean_and_std_over_seeds_beside_the_published_value() -> None:
    frame, _ = tidy(metrics(full()))
    row = entry(frame, "cycle", "none", 2)
    assert row["mean"] == pytest.approx(0.40)
    assert row["std"] == pytest.approx(0.10)  # ddof 0; ddof 1 would give 0.141
    assert (row["published_mean"], row["published_std"]) == (0.05, 0.0)
    assert entry(frame, "objective", "lbfgs", 4)["published_mean"] == 0.22


def test_rows_in_the_papers_order() -> None:
    frame, _ = tidy(metrics(full()))
    assert frame["name"].tolist()[:8:2] == ["W2", "MMv1", "MMv2", "MM"]
    assert frame["source"].tolist() == ["quoted"] * 8 + ["ours"] * 6
    assert frame["solver"].tolist()[8::2] == ["none", "lbfgs", "adam"]
    tex = hd.hd_tex(*tidy(metrics(full())))
    order = [tex.index(text) for text in ("[W2]", "[MMv1]", "[MMv2]", "[MM]", "Improvement")]
    assert order == sorted(order)


def test_one_diverged_seed_makes_the_entry_infinite_and_counted() -> None:
    frame, chosen = tidy(metrics(full(cycle_none_2=[0.3, None])))
    row = entry(frame, "cycle", "none", 2)
    assert math.isinf(row["mean"])
    assert (row["seeds"], row["diverged_seeds"], row["above_limit"]) == (2, 1, True)
    assert row["mean_as_published"] == pytest.approx((0.3 + 1e4) / 2)
    assert "$>$100$^{(1/2)}$ &" in hd.hd_tex(frame, chosen)


def test_what_the_papers_tables_would_say_stands_beside_an_entry_that_diverged() -> None:
    frame, chosen = tidy(metrics(full(cycle_none_2=[0.3, None]), before=0.24))
    row = entry(frame, "cycle", "none", 2)
    assert math.isinf(row["mean"])
    assert row["mean_as_published"] == pytest.approx(0.27)
    tex = hd.hd_tex(frame, chosen)
    assert r"$>$100$^{(1/2)}$ {\scriptsize last 0.27}" in tex
    assert "as the paper's tables count it" in tex
    assert not row["best"]


def test_finished_seed_without_a_number_counts_as_diverged() -> None:
    frame, _ = tidy(metrics(full(cycle_none_2=[0.3, math.nan])))
    assert entry(frame, "cycle", "none", 2)["diverged_seeds"] == 1


def test_mean_above_the_limit_without_divergence() -> None:
    frame, chosen = tidy(metrics(full(cycle_none_2=[1.0, 201.0])))
    row = entry(frame, "cycle", "none", 2)
    assert (row["mean"], row["diverged_seeds"], row["above_limit"]) == (101.0, 0, True)
    assert " $>$100 &" in hd.hd_tex(frame, chosen)
    frame, _ = tidy(metrics(full(cycle_none_2=[1.0, 199.0])))
    assert not entry(frame, "cycle", "none", 2)["above_limit"]


def test_best_entries_are_those_equal_at_the_decimals_shown() -> None:
    frame, chosen = tidy(metrics(full()))
    best = frame[frame["best"]]
    assert sorted(zip(best["dimension"], best["solver"], strict=True)) == [
        (2, "adam"),
        (2, "lbfgs"),
        (4, "lbfgs"),
    ]
    tex = hd.hd_tex(frame, chosen)
    assert r"\textbf{0.03 {\scriptsize$\pm$0.00}}" in tex
    assert tex.count(r"\textbf{") == 3


def test_a_baseline_can_be_best() -> None:
    frame, chosen = tidy(metrics(full(objective_lbfgs_4=[0.4, 0.4])))
    best = frame[frame["best"] & (frame["dimension"] == 4)]
    assert best["name"].tolist() == ["MM"]
    assert r"\textbf{0.3}" in hd.hd_tex(frame, chosen)


def test_a_quoted_value_is_not_compared_with_measures_made_here() -> None:
    given = metrics(full(objective_lbfgs_4=[0.4, 0.4]), sources={4: "generated"})
    frame, chosen = tidy(given)
    best = frame[frame["best"] & (frame["dimension"] == 4)]
    assert best["source"].tolist() == ["ours"]
    row = next(line for line in hd.hd_tex(frame, chosen).splitlines() if "Improvement" in line)
    assert row.endswith(r"{Improvement over prior work} & 3.2 & -- \\")


def test_improvement_is_best_baseline_over_best_of_ours() -> None:
    frame, chosen = tidy(metrics(full()))
    row = next(line for line in hd.hd_tex(frame, chosen).splitlines() if "Improvement" in line)
    # 0.1 / 0.031 and 0.3 / 0.22.
    assert row.endswith(r"{Improvement over prior work} & 3.2 & 1.4 \\")


def test_a_row_that_the_paper_lacks_says_its_steps_and_is_no_improvement_of_the_paper_s() -> None:
    """It may be the best of the table all the same."""
    mine = {"amortization": "ours", "solver": "lbfgs"}
    spent = [row | {"iterations": 250001, "batch_size": 1024} for row in METHODS]
    spent.append(mine | {"iterations": 25000, "batch_size": 512})
    budget = settings()["budget"] | {"row_budgets": spent}
    given = summary.TableSettings.from_json(settings(methods=[*METHODS, mine], budget=budget))
    values = full(ours_lbfgs_2=[0.01, 0.01], ours_lbfgs_4=[0.02, 0.02])
    tidy = summary.hd_tidy(metrics(values), "mlp", PUBLISHED, given)
    steps = tidy[tidy["source"] == "ours"].groupby("amortization")["iterations"].unique()
    assert {name: list(found) for name, found in steps.items()} == {
        "cycle": [250001],
        "objective": [250001],
        "ours": [25000],
        "regression": [250001],
    }
    text = hd.hd_tex(tidy, given)
    before = summary.TableSettings.from_json(settings())
    without = hd.hd_tex(summary.hd_tidy(metrics(full()), "mlp", PUBLISHED, before), before)
    assert r"Ours {\scriptsize 25,000 steps, batches of 512} &" in text
    assert "scriptsize 250,001" not in text
    assert "steps" not in without
    assert text.splitlines().count(improvement(without)) == 1
    (line,) = (line for line in text.splitlines() if "Ours" in line)
    assert line.count("textbf") == 2


def improvement(text: str) -> str:
    (line,) = (line for line in text.splitlines() if "Improvement" in line)
    return line


def test_no_improvement_where_all_failed() -> None:
    failed: dict[str, list[float | None]] = {
        "cycle_none_4": [None, None],
        "objective_lbfgs_4": [None, None],
        "regression_adam_4": [500.0, 500.0],
    }
    row = next(x for x in hd.hd_tex(*tidy(metrics(full(**failed)))).splitlines() if "Impr" in x)
    assert row.endswith(r"& 3.2 & -- \\")


def test_missing_cell_and_seed_are_named() -> None:
    values = full()
    del values["objective", "lbfgs", 4]
    with pytest.raises(InputError, match="no cell mlp, objective, lbfgs, n = 4"):
        tidy(metrics(values))
    with pytest.raises(InputError, match=r"cycle, none, n = 2 has seeds \[0\], expected \[0, 1\]"):
        tidy(metrics(full(cycle_none_2=[0.3])))
    twice = pd.concat([metrics(full())] * 2)
    with pytest.raises(InputError, match=r"has seeds \[0, 0, 1, 1\]"):
        tidy(twice)


def test_other_preset_is_refused() -> None:
    with pytest.raises(InputError, match="comes from preset smoke, expected paper"):
        tidy(metrics(full(), preset="smoke"))


def test_reduced_preset_and_generated_measures_are_labelled() -> None:
    reduced = {"name": "smoke", "label": "smoke & mirrors", "reduced": True}
    frame, chosen = tidy(metrics(full(), preset="smoke", sources={4: "generated"}), preset=reduced)
    tex = hd.hd_tex(frame, chosen)
    assert r"\textbf{Reduced budget}" in tex
    assert r"smoke (smoke \& mirrors), 250,001 iterations at batch size 1,024, 2 seeds" in tex
    assert r"\textbf{Measures generated here} for $n = 4$" in tex
    assert set(frame["reduced"]) == {True}
    assert set(frame["preset"]) == {"smoke"}
    plain = hd.hd_tex(*tidy(metrics(full())))
    assert "Reduced" not in plain
    assert "generated" not in plain


def test_dimension_without_baselines_or_published_values() -> None:
    values: dict[tuple[str, str, int], list[float | None]] = {
        (m["amortization"], m["solver"], 3): [0.5, 0.5] for m in METHODS
    }
    frame, chosen = tidy(metrics(values), dimensions=[3])
    assert set(frame["source"]) == {"ours"}
    assert frame["published_mean"].isna().all()
    hd.hd_tex(frame, chosen)


def run(tmp_path: Path, name: str, *arguments: str) -> tuple[bytes, bytes]:
    parser = argparse.ArgumentParser()
    table_job.add_arguments(parser)
    tex, tidy_csv = tmp_path / f"{name}.tex", tmp_path / f"{name}.csv"
    command = [*arguments, "--settings", json.dumps(settings())]
    table_job.main(parser.parse_args([*command, "--tex", str(tex), "--csv", str(tidy_csv)]))
    return tex.read_bytes(), tidy_csv.read_bytes()


def test_rendering_again_gives_the_same_bytes(tmp_path: Path) -> None:
    source = tmp_path / "hd.csv"
    metrics(full(cycle_none_2=[0.3, None])).to_csv(source, index=False)
    arguments = ["--metrics", str(source), "--potential", "mlp", "--published", str(PUBLISHED)]
    first = run(tmp_path, "a", *arguments)
    assert first == run(tmp_path, "b", *arguments)
    assert first[1].count(b"\n") == 15


def test_refused_table_leaves_nothing_behind(tmp_path: Path) -> None:
    source = tmp_path / "hd.csv"
    metrics({("cycle", "none", 2): [0.1, 0.1]}).to_csv(source, index=False)
    with pytest.raises(InputError, match="no cell"):
        run(
            tmp_path,
            "a",
            "--metrics",
            str(source),
            "--potential",
            "mlp",
            "--published",
            str(PUBLISHED),
        )
    assert [path.name for path in tmp_path.iterdir()] == ["hd.csv"]


def test_settings_name_the_key_that_is_missing() -> None:
    incomplete = settings()
    del incomplete["budget"]["seeds"]
    with pytest.raises(InputError, match="settings: `budget` lacks `seeds`"):
        summary.TableSettings.from_json(incomplete)


TRIVIAL = (
    "pair,dimension,map,l2_uvp_forward_percent,l2_uvp_inverse_percent,"
    "cosine_forward,cosine_inverse,measures_source\n"
    "hd2,2,identity,32.7,31.0,0.0,0.0,mirror\n"
    "hd2,2,constant,100.0,,0.31,,mirror\n"
    "hd4,4,identity,33.7,32.0,0.0,0.0,generated\n"
    "hd4,4,constant,100.0,,0.32,,generated\n"
)


def trivial(source: Path) -> str:
    parser = argparse.ArgumentParser()
    trivial_table_job.add_arguments(parser)
    tex = source.with_suffix(".tex")
    command = ["--trivial", str(source), "--settings", json.dumps(settings()), "--tex", str(tex)]
    trivial_table_job.main(parser.parse_args(command))
    return tex.read_text(encoding="utf-8")


def test_trivial_maps(tmp_path: Path) -> None:
    source = tmp_path / "trivial.csv"
    source.write_text(TRIVIAL, encoding="utf-8")
    tex = trivial(source)
    assert r"Identity & L$^2$-UVP forward (\%) & 32.70 & 33.70 \\" in tex
    assert r" & L$^2$-UVP inverse (\%) & -- & -- \\" in tex
    assert r"generated here} for $n = 4$" in tex
    assert "Reduced" not in tex
    reduced = {"name": "smoke", "label": "test", "reduced": True}
    shrunk = summary.TableSettings.from_json(settings(preset=reduced))
    assert "Reduced budget" in hd.trivial_tex(hd.read_trivial(source), shrunk)
    source.write_text(TRIVIAL.replace("hd4,4,constant", "hd4,8,constant"), encoding="utf-8")
    with pytest.raises(InputError, match="0 rows for map constant, n = 4"):
        trivial(source)


def test_escape() -> None:
    assert escape("50% of a_b & {c}~$d$ #1 ^\\") == (
        r"50\% of a\_b \& \{c\}\textasciitilde{}\$d\$ \#1 \textasciicircum{}\textbackslash{}"
    )
    assert escape("±é漢") == r"\ensuremath{\pm}é\fbox{?}"


def test_error_lines_of_a_log() -> None:
    text = "noise\n./table.tex:7: Undefined control sequence.\nl.7 \\oops\n" + "tail\n" * 40
    assert error_lines(text).splitlines()[:2] == [
        "  ./table.tex:7: Undefined control sequence.",
        "  l.7 \\oops",
    ]


@pytest.mark.tex
def test_the_widest_table_compiles_by_input_and_fits(tmp_path: Path) -> None:
    dimensions = [2, 4, 8, 16, 32, 64, 128, 256]
    chosen = summary.TableSettings.from_json(settings(dimensions=dimensions))
    values: dict[tuple[str, str, int], list[float | None]] = {
        (m["amortization"], m["solver"], n): [99.0, None if n > 64 else 12.0]
        for m in METHODS
        for n in dimensions
    }
    tex = hd.hd_tex(summary.hd_tidy(metrics(values), "mlp", PUBLISHED, chosen), chosen)
    document = (
        "\\documentclass{article}\\usepackage{booktabs,graphicx}\\hfuzz=1pt\n"
        "\\begin{document}\\input{table.tex}\\end{document}\n"
    )
    build_pdf(document, {"table.tex": tex}, tmp_path / "t.pdf", 0)
    assert (tmp_path / "t.pdf").read_bytes().startswith(b"%PDF")
