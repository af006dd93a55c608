"""Timing of rows, and the tables that are made of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.unit import settings

from w2dual import timing
from w2dual.__main__ import main
from w2dual.evaluation.trained import Trained
from w2dual.records import InputError, write_json
from w2dual.report.tables import line_search as line_search_tables
from w2dual.studies import line_search

pytestmark = pytest.mark.slow

COMMON = {"lbfgs": settings.solver(), "points": 16, "repetitions": 2, "block_s": 1e-3}
SEARCH = COMMON | {"slow_s": 60.0, "trials": 15, "rows": ["ours_parallel", "ours_sequential"]}


def record(
    cell: Trained, rows: list[dict[str, Any]], study: str, given: dict[str, Any]
) -> dict[str, Any]:
    return {
        "format": line_search_tables.FORMAT,
        "study": study,
        "settings": given,
        "threads": 1,
        "long_call_s": timing.SLOW_S,
        "cells": [
            {
                "cell": cell.record["cell"],
                "preset": cell.record["preset"],
                "measures_source": "closed form",
                "seed": 0 if rows else None,
                "rows": rows,
            }
        ],
        "provenance": {"device": "CPU: a_test", "ended": "2026-01-01", "git_commit": "abc"},
    }


def row(name: str, runtime: float, **changes: Any) -> dict[str, Any]:
    return {
        "name": name,
        "words": line_search.ROWS[name],
        "runtime_ms": {"median": runtime, "min": 0.9 * runtime, "max": 1.1 * runtime},
        "repetitions": 2,
        "calls": 3,
        "compile_s": 1.0,
        "iterations_mean": 2.5,
        "iterations_max": 7,
        "gradient_norm_median": 0.05,
        "gradient_norm_max": 0.09,
        "converged_percent": 100.0,
        "excess_mean": 1e-5,
    } | changes


def test_our_line_searches_give_the_same_result_and_are_timed_in_turns(cell: Trained) -> None:
    parallel, sequential = line_search.line_search(cell, SEARCH)
    for key in ("iterations_mean", "iterations_max", "converged_percent"):
        assert parallel[key] == sequential[key]
    assert parallel["gradient_norm_max"] == pytest.approx(sequential["gradient_norm_max"], rel=1e-3)
    assert parallel["converged_percent"] == 100
    assert 0 <= parallel["excess_mean"] < 1e-5
    for one in (parallel, sequential):
        assert one["repetitions"] == 2
        assert (
            0 < one["runtime_ms"]["min"] <= one["runtime_ms"]["median"] <= one["runtime_ms"]["max"]
        )


def test_a_row_whose_first_call_is_slow_has_no_turns(
    cell: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prepare(*arguments: Any) -> timing.Turn:
        raise AssertionError("a slow row is not called again")

    monkeypatch.setattr(line_search.timing, "prepare", prepare)
    (only,) = line_search.line_search(cell, SEARCH | {"slow_s": 0.0, "rows": ["ours_sequential"]})
    assert (only["repetitions"], only["calls"]) == (1, 1)
    assert only["runtime_ms"]["min"] == only["runtime_ms"]["max"] > 0


def test_no_tolerance_ends_the_iterations_of_wolfe_vs_armijo(cell: Trained) -> None:
    rows = line_search.wolfe_vs_armijo(cell, COMMON | {"slow_s": 0.0, "iterations": 3})
    assert [one["name"] for one in rows] == list(line_search.WOLFE_ROWS)
    assert {one["iterations_max"] for one in rows} == {3}


def test_table_of_line_searches(cell: Trained) -> None:
    rows = [
        row("ours_parallel", 20.0),
        row("ours_sequential", 5.0),
        row("optimistix", 5000.0, repetitions=1),
        row("jaxopt_zoom", 9000.0, repetitions=1, gradient_norm_max=2.0, converged_percent=99.0),
    ]
    made = record(cell, rows, "line-search", SEARCH | {"slow_s": 4.0})
    tidy = line_search_tables.tidy(made)
    assert list(tidy["factor"]) == pytest.approx([1.0, 0.25, 250.0, 450.0])
    tex = line_search_tables.line_search_tex(made)
    assert r"\textbf{5.00}" in tex
    assert r"\textbf{20.0}" not in tex
    assert "first call took over 4 s" in tex
    assert r"Device: CPU: a\_test, 1 thread." in tex
    assert r"\textbf{Reduced budget}: preset smoke" in tex
    assert "16 points" in tex
    made["cells"][0]["measures_source"] = "generated"
    assert "Measures generated here, not the published ones." not in tex
    assert "Measures generated here, not the published ones." in (
        line_search_tables.line_search_tex(made)
    )


def test_table_of_wolfe_and_armijo(cell: Trained) -> None:
    rows = [row("jax_zoom", 60.0), row("ours_parallel", 20.0), row("ours_sequential", 5.0)]
    made = record(cell, rows, "wolfe-vs-armijo", COMMON | {"iterations": 10})
    assert list(line_search_tables.tidy(made)["factor"]) == pytest.approx([1.0, 3.0, 12.0])
    tex = line_search_tables.wolfe_vs_armijo_tex(made)
    assert r"Armijo, parallel (ours) & 20.0 & 2.5 & $1.0\cdot10^{-5}$ & 3.0" in tex
    assert "10 iterations" in tex


def test_a_diverged_cell_is_said_to_and_is_no_error(cell: Trained) -> None:
    for study, given in (("line-search", SEARCH), ("wolfe-vs-armijo", COMMON | {"iterations": 1})):
        made = record(cell, [], study, given)
        assert line_search_tables.tidy(made).empty
        assert "All seeds diverged" in line_search_tables.RENDERERS[study](made)


def test_the_job_writes_both_files_and_refuses_another_study(cell: Trained, tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    made = record(cell, [row("ours_parallel", 2.0)], "line-search", SEARCH)
    write_json(path, made)
    with pytest.raises(InputError, match=r"record.json: holds no study 'wolfe-vs-armijo'"):
        line_search_tables.read(path, "wolfe-vs-armijo")
    out = ["--tex", str(tmp_path / "t.tex"), "--csv", str(tmp_path / "t.csv")]
    command = ["line-search-tables", "--study", "line-search", "--record", str(path), *out]
    assert main(command) == 0
    found = pd.read_csv(tmp_path / "t.csv")
    assert tuple(found.columns) == line_search_tables.COLUMNS
    assert found["device"].tolist() == ["CPU: a_test"]


def test_a_wrong_setting_of_a_study_is_named(cell: Trained):
    with pytest.raises(InputError, match="line search: `settings` has the unknown key `pionts`"):
        line_search.line_search(cell, SEARCH | {"pionts": 3})
    with pytest.raises(InputError, match="line search: `settings.trials` is '15'"):
        line_search.line_search(cell, SEARCH | {"trials": "15"})
    with pytest.raises(InputError, match="Wolfe against Armijo: `settings` lacks `slow_s`"):
        line_search.wolfe_vs_armijo(cell, COMMON | {"iterations": 3})
