"""The table of starts and its claims, on studies that are made by hand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from w2dual.report.tables import meta_sinkhorn as tables
from w2dual.results import meta_sinkhorn as results
from w2dual.results.meta_sinkhorn import Study, TableSettings

PUBLISHED = Path(__file__).parents[3] / "tables" / "published"
PAIRS = 6


def settings(**changes: Any) -> TableSettings:
    given: dict[str, Any] = {"tasks": ["mnist"], "methods": ["meta", "meta_mask"]}
    given |= {"tolerances": [1e-2, 1e-3, 1e-4], "check_every": [1], "iterations": 50_000}
    given |= {"preset": {"name": "p", "label": "l", "reduced": False}, "finetuners": ["sinkhorn"]}
    return TableSettings.from_json(given | changes)


def study(seeds: Mapping[str, tuple[list[int], list[int]]], source: str = "folder") -> Study:
    """Zeros take 30 iterations to the first tolerance, Gaussian 20, networks 10; 10 more to each.

    Args:
        seeds: of each method, and those of them that diverged.
        source: of the data.
    """
    rows, times = [], []
    live = {name: [s for s in of if s not in lost] for name, (of, lost) in seeds.items()}
    starts = {"zeros": ([-1], 30), "gaussian": ([-1], 20)}
    for start, (own, first) in (starts | {name: (of, 10) for name, of in live.items()}).items():
        for seed in own:
            times.append({"start": start, "seed": seed, "finetuner": "sinkhorn"})
            times[-1] |= {"iteration_ms": 1.0, "start_ms": 0.5}
            for place, tolerance in enumerate((1e-2, 1e-3, 1e-4)):
                for pair in range(PAIRS):
                    count = first + 10 * place + pair % 2
                    rows.append((start, "sinkhorn", 1, tolerance, seed, pair, count, 2 * count))
    metadata = {
        "times": times,
        "provenance": {"device": "a CPU"},
        "data": {"label": "digits of somebody", "source": source},
        "networks": {n: {"seeds": of, "diverged": lost} for n, (of, lost) in seeds.items()},
    }
    return Study("mnist", pd.DataFrame(rows, columns=list(results.COUNTS)), {}, metadata)


ALL = {"meta": ([0, 1, 2], []), "meta_mask": ([0, 1, 2], [])}


@pytest.mark.parametrize(
    ("tolerance", "head"),
    [
        (1e-2, "$10^{-2}$"),
        (1e-5, "$10^{-5}$"),
        (2.5e-3, r"$2.5\cdot 10^{-3}$"),
        (1.4e-3, r"$1.4\cdot 10^{-3}$"),
        (0.125, r"$1.25\cdot 10^{-1}$"),
    ],
)
def test_a_tolerance_is_printed_with_all_its_digits(tolerance: float, head: str) -> None:
    own = settings(tolerances=[tolerance])
    row = study(ALL)
    row.counts["tolerance"] = row.counts["tolerance"].replace(1e-2, tolerance)
    tidy = results.tidy([row], own, results.read_seconds(PUBLISHED))
    assert f"Start & {head} & {head} & {head} & start" in tables.tex(tidy, own, [row])


def test_the_claims_say_what_data_are_a_stand_in(tmp_path: Path) -> None:
    for source, said in (("packaged", True), ("folder", False)):
        for name in tables.TABLES:
            tex, csv = tmp_path / f"{name}.tex", tmp_path / f"{name}.csv"
            tables.write(name, [study(ALL, source)], PUBLISHED, settings(), tex, csv)
            assert ("Stand-in data" in tex.read_text()) == said, name
            assert ("digits of somebody" in tex.read_text()) == (said or name == "meta_ot_sinkhorn")
            assert set(pd.read_csv(csv)["data_source"]) == {source}
