"""Tables of costs on hand-built frames: shares of a job, cells without a solver, diverged seeds."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.unit.config.changed import load
from tests.unit.report.tables.test_hd import metrics, settings

from w2dual.config import arguments
from w2dual.jobs import cost_table as cost_table_job
from w2dual.records import InputError
from w2dual.report.latex import build_pdf
from w2dual.report.tables import costs
from w2dual.results.summary import TableSettings

METHODS = [("cycle", "none"), ("objective", "lbfgs"), ("regression", "adam")]
DOCUMENT = (
    "\\documentclass{article}\\usepackage{booktabs,graphicx}\\begin{document}\n"
    "\\input{table.tex}\n\\end{document}\n"
)


def frame(diverged: dict[tuple[str, int], int] | None = None, **columns: Any) -> pd.DataFrame:
    """Two seeds for each cell; `diverged` says how many of a (solver, n) have."""
    parts = []
    for potential in ("icnn", "mlp"):
        values: dict[tuple[str, str, int], list[float | None]] = {
            (*method, n): [0.5, 0.5] for method in METHODS for n in (2, 4)
        }
        for (solver, n), many in (diverged or {}).items():
            (method,) = (m for m in METHODS if m[1] == solver)
            values[(*method, n)] = [None] * many + [0.5] * (2 - many)
        parts.append(metrics(values, potential=potential))
    found = pd.concat(parts, ignore_index=True)
    solved = found["solver"] != "none"
    found["training_s"] = 7200.0 * found["dimension"]
    found["conjugation_ms"] = (3.0 * found["dimension"]).where(solved)
    found["conjugation_ms_low"] = (2.0 * found["dimension"]).where(solved)
    found["conjugation_ms_high"] = (4.0 * found["dimension"]).where(solved)
    iterations = 10.0 + found["seed"]
    finished = found["status"] == "finished"
    found["conjugate_iterations_mean"] = iterations.where(solved, 0.0).where(finished)
    found["device"] = "CPU: a_b"
    return found.assign(**columns)


def tidy(table: str, of: pd.DataFrame, **changes: Any) -> tuple[pd.DataFrame, str]:
    chosen = TableSettings.from_json(settings(**changes))
    numbers = costs.cost_tidy(of, table, ["icnn", "mlp"], chosen)
    return numbers, costs.cost_tex(numbers, table, chosen, of)


def entry(numbers: pd.DataFrame, solver: str, n: int) -> dict[str, Any]:
    found = numbers[(numbers["solver"] == solver) & (numbers["dimension"] == n)]
    row = found[found["potential"] == "mlp"].iloc[0]
    return {str(key): value for key, value in row.items()}


def test_run_time_is_a_seeds_share_of_its_job_and_the_note_says_so() -> None:
    numbers, tex = tidy("runtime_hd", frame())
    assert len(numbers) == 2 * 3 * 2
    found = entry(numbers, "none", 4)
    assert (found["quantity"], found["seeds"]) == ("runtime_s", 2)
    assert (found["value"], found["job"]) == (14400.0, 28800.0)
    assert "Cycle & None & 2.00 & 4.00 \\\\" in tex  # the paper's unit where it is that long
    assert "one seed in hours: that of the job, which trains all 2 seeds" in tex
    assert "the whole job takes 2 times as long" in tex
    assert r"Device: CPU: a\_b." in tex


@pytest.mark.parametrize(("training_s", "unit"), [(300.0, "minutes"), (8.0, "seconds")])
def test_short_run_times_have_a_smaller_unit(training_s: float, unit: str) -> None:
    numbers, tex = tidy("runtime_hd", frame(training_s=training_s))
    assert f"one seed in {unit}:" in tex
    shown = {"minutes": "2.50", "seconds": "4.00"}[unit]
    assert f"Cycle & None & {shown} & {shown} \\\\" in tex
    assert entry(numbers, "none", 2)["value"] == training_s / 2  # the CSV stays in seconds


def test_a_block_for_each_potential_in_order() -> None:
    _, tex = tidy("runtime_hd", frame())
    heads = [line for line in tex.splitlines() if "multicolumn" in line]
    assert heads == [
        r"\multicolumn{2}{l}{\textit{ICNN potential}} &  &  \\",
        r"\midrule \multicolumn{2}{l}{\textit{MLP potential}} &  &  \\",
    ]


def test_without_a_solver_there_is_a_dash() -> None:
    for table in ("conjugation_iterations", "conjugation_time"):
        numbers, tex = tidy(table, frame())
        assert math.isnan(entry(numbers, "none", 2)["value"])
        assert "Cycle & None & --- & --- \\\\" in tex
        assert "---: no conjugate solver" in tex

        numbers, tex = tidy(table, frame({("none", 2): 1}))
        assert entry(numbers, "none", 2)["diverged_seeds"] == 1
        assert "Cycle & None & --- & --- \\\\" in tex  # it is not for the seed that diverged


def test_conjugation_time_is_a_seeds_share_with_its_spread() -> None:
    numbers, tex = tidy("conjugation_time", frame())
    found = entry(numbers, "adam", 4)
    assert [found[key] for key in ("value", "low", "high", "job")] == [6.0, 4.0, 8.0, 12.0]
    assert "Regression & Adam & 3.00 & 6.00 \\\\" in tex
    assert "conjugate a batch of 1,024 points" in tex


def test_iterations_are_the_mean_over_the_seeds_that_finished() -> None:
    numbers, tex = tidy("conjugation_iterations", frame({("adam", 4): 1}))
    assert entry(numbers, "adam", 2)["value"] == 10.5
    assert entry(numbers, "adam", 4)["value"] == 11.0
    assert "Regression & Adam & 10.5 & 11.0$^{(1/2)}$ \\\\" in tex
    assert "$k$ of $m$ seeds diverged" in tex
    assert "Device" not in tex  # it is no time


@pytest.mark.parametrize("table", list(costs.QUANTITIES))
def test_a_run_that_diverged_in_all_seeds_has_no_entry(table: str) -> None:
    numbers, tex = tidy(table, frame({("adam", 4): 2}))
    assert math.isnan(entry(numbers, "adam", 4)["value"])
    assert " & ---$^{(2/2)}$ \\\\" in tex


def test_different_devices_are_warned_of() -> None:
    found = frame()
    found.loc[found["dimension"] == 4, "device"] = "GPU"
    _, tex = tidy("runtime_hd", found)
    assert r"Device: CPU: a\_b; GPU." in tex
    assert "Different devices" in tex


def test_reduced_preset_and_new_measures_are_marked() -> None:
    reduced = {"name": "smoke", "label": "a {test}", "reduced": True}
    _, tex = tidy("runtime_hd", frame(preset="smoke", measures_source="generated"), preset=reduced)
    assert r"\textbf{Reduced budget}" in tex
    assert r"a \{test\}" in tex
    assert "Measures generated here" in tex


@pytest.mark.parametrize(("at_once", "share"), [(1, 50.0), (2, 7.0), (None, 7.0)])
def test_a_run_time_is_of_whole_runs_where_a_group_of_seeds_ended_early(
    at_once: int | None, share: float
) -> None:
    """In groups of one seed, one ended at once: a step of all takes 0.1 s, a run 1,000 of them."""
    own = frame({("adam", 4): 1}, training_s=14.0, seconds_per_step=0.1)
    budget = settings()["budget"] | {"iterations": 1000, "seeds_at_once": at_once}
    numbers, tex = tidy("runtime_hd", own, budget=budget)
    assert entry(numbers, "adam", 4)["value"] == pytest.approx(share)
    assert entry(numbers, "adam", 4)["job"] == pytest.approx(2 * share)
    assert entry(numbers, "adam", 2)["value"] == 7.0  # no seed diverged
    assert ("Seeds are trained in groups" in tex) == (at_once == 1)
    numbers, _ = tidy("runtime_hd", frame({("adam", 4): 2}, seconds_per_step=0.1), budget=budget)
    assert math.isnan(entry(numbers, "adam", 4)["value"])  # all groups ended early


def test_a_row_with_a_budget_of_its_own_says_it_and_the_notes_the_range() -> None:
    config = load(
        "{methods: {ours: {training: {iterations: 12500, batch_size: 512}}}, "
        "hd: {dimensions: [2, 4], seeds: [0, 1], methods: [{amortization: cycle, solver: none}], "
        "potentials: [mlp], more_methods: [{method: ours}], training: {iterations: 25000}}, "
        "preset: {name: mine, label: mine, reduced: true}}"
    )
    chosen = TableSettings.from_json(arguments.table(config))
    own = frame(preset="mine")
    own = own[own["potential"] == "mlp"]
    own["amortization"] = own["amortization"].replace("objective", "ours")
    shown = {}
    for table in costs.QUANTITIES:
        numbers = costs.cost_tidy(own, table, ["mlp"], chosen)
        spent = numbers.groupby("amortization")[["iterations", "batch_size"]].first()
        assert list(spent.loc["ours"]) == [12500, 512]
        assert list(spent.loc["cycle"]) == [25000, 1024]
        shown[table] = costs.cost_tex(numbers, table, chosen, own)
        assert r"Ours {\scriptsize 12,500 steps, batches of 512} &" in shown[table]
        assert r"Cycle & None" in shown[table]
        assert "12,500 to 25,000 iterations at batch size 512 to 1,024, 2 seeds" in shown[table]
    assert "than its share. 12,500 to 25,000 steps, without" in shown["runtime_hd"]
    assert "conjugate a batch of 512 to 1,024 points" in shown["conjugation_time"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.001234, "0.00123"), (0.9996, "1.000"), (12.345, "12.3"), (123.45, "123"), (0.0, "0")]
    + [(12345.0, "12,300")],
)
def test_three_significant_digits(value: float, shown: str) -> None:
    assert costs.significant(value) == shown


def test_missing_cell_is_named() -> None:
    found = frame()
    found = found[~((found["solver"] == "adam") & (found["dimension"] == 4))]
    with pytest.raises(InputError, match="no cell icnn, regression, adam, n = 4"):
        tidy("runtime_hd", found)
    with pytest.raises(InputError, match="comes from preset paper, expected smoke"):
        tidy("runtime_hd", frame(), preset={"name": "smoke", "label": "", "reduced": True})


@pytest.mark.tex
def test_job_writes_both_files_and_latex_takes_them(tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    cost_table_job.add_arguments(parser)
    whole = frame({("adam", 4): 1})
    paths = []
    for potential, part in whole.groupby("potential"):
        paths.append(str(tmp_path / f"hd_{potential}.csv"))
        part.to_csv(paths[-1], index=False)
    for table in costs.QUANTITIES:
        out = [tmp_path / f"{table}.{ending}" for ending in ("tex", "csv")]
        command = [table, "--metrics", *paths, "--potentials", "icnn", "mlp"]
        command += ["--settings", json.dumps(settings())]
        command += ["--tex", str(out[0]), "--csv", str(out[1])]
        cost_table_job.main(parser.parse_args(command))
        assert list(pd.read_csv(out[1]).columns) == list(costs.TIDY_COLUMNS)
        build_pdf(DOCUMENT, {"table.tex": out[0]}, tmp_path / f"{table}.pdf", 0)
