"""The table of starts and its claims, on studies that are made by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from w2dual.measures.discrete import places
from w2dual.plots import meta_sinkhorn as figures
from w2dual.records import InputError, save_arrays
from w2dual.report.systems.meta_sinkhorn import SYSTEM
from w2dual.report.tables import meta_sinkhorn as tables
from w2dual.results import meta_sinkhorn as results
from w2dual.results.meta_sinkhorn import Study, TableSettings
from w2dual.results.meta_sinkhorn_claims import claims

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
    assert set(results.STAND_INS) == {places.PACKAGED, places.OTHER}
    for source, said in (("packaged", True), ("other", True), ("folder", False)):
        for name in tables.TABLES:
            tex, csv = tmp_path / f"{name}.tex", tmp_path / f"{name}.csv"
            tables.write(name, [study(ALL, source)], PUBLISHED, settings(), tex, csv)
            assert ("Stand-in data" in tex.read_text()) == said, name
            assert ("digits of somebody" in tex.read_text()) == (said or name == "meta_ot_sinkhorn")
            assert set(pd.read_csv(csv)["data_source"]) == {source}
        part = pd.DataFrame({"pair": ["mnist"], "measures_source": [source]})
        assert bool(SYSTEM.warnings(part)) == said
        assert ("the data itself" in SYSTEM.facts(part)[0][1]) != said


def written(own: TableSettings, studies: list[Study], folder: Path) -> tuple[str, pd.DataFrame]:
    tex, csv = folder / "t.tex", folder / "t.csv"
    tables.write("meta_ot_sinkhorn", studies, PUBLISHED, own, tex, csv)
    return tex.read_text(), pd.read_csv(csv)


def line_of(text: str, name: str) -> str:
    return next(line for line in text.splitlines() if f"& {name} &" in line)


def test_a_diverged_seed_is_counted_and_makes_the_mean_infinite(tmp_path: Path) -> None:
    for lost in ([0, 2], [0, 1, 2]):
        seeds = {"meta": ([0, 1, 2], lost), "meta_mask": ([0, 1, 2], [])}
        text, frame = written(settings(), [study(seeds)], tmp_path)
        shown = line_of(text, "Meta OT")
        assert rf"$\infty^{{({len(lost)}/3)}}$" in shown
        assert (r"{\tiny finished: 10.5}" in shown) == (len(lost) < 3)
        assert r"\infty" not in line_of(text, "Meta OT, masked")
        assert r"$k$ of $m$ seeds diverged" in text
        rows = frame[frame["start"] == "meta"]
        assert rows["seeds"].tolist() == [3, 3, 3]
        assert rows["diverged_seeds"].tolist() == [len(lost)] * 3
        assert np.isinf(rows["iterations_mean"]).all()
        assert rows["iterations_finished_mean"].isna().all() == (len(lost) == 3)
        assert rows["pairs"].tolist() == [PAIRS] * 3
    text, frame = written(settings(), [study(ALL)], tmp_path)
    assert "diverged" not in text
    assert frame["diverged_seeds"].tolist() == [0] * 12
    assert (frame["iterations_finished_mean"] == frame["iterations_mean"]).all()
    assert (frame["iterations_low"] < frame["iterations_mean"]).all()
    assert (frame["iterations_mean"] < frame["iterations_high"]).all()


def test_a_diverged_network_contradicts_that_a_prediction_is_the_best_start() -> None:
    def judged(*lost: int) -> pd.DataFrame:
        seeds = {"meta": ([0, 1, 2], [*lost]), "meta_mask": ([0, 1, 2], [])}
        rows = claims([study(seeds)], settings(), results.read_seconds(PUBLISHED))
        said = tables.claims_tex(rows, settings(), [study(seeds)])
        named = f"{len(lost)} of 3 seeds of Meta OT (MNIST)"
        assert (named in said) == bool(lost)
        return rows

    # Two predictions against Gaussian, and Gaussian against zeros, at three tolerances.
    counted = ["supported", "contradicted", "undecided", "verdict"]
    assert judged()[counted].iloc[0].tolist() == [9, 0, 0, "holds"]
    for lost in ((0,), (0, 1, 2)):
        found = judged(*lost)
        assert found[counted].iloc[0].tolist() == [6, 3, 0, "mixed"]
        assert found[counted].iloc[1].tolist() == [1, 0, 1, "holds"]
        assert found["diverged"].tolist() == [f"mnist meta {len(lost)}/3"] * 2


def test_a_study_without_a_method_or_a_count_of_it_is_refused() -> None:
    seconds = results.read_seconds(PUBLISHED)
    one = study({"meta": ([0], [])})
    for judge in (results.tidy, claims):
        with pytest.raises(InputError, match="the study of mnist has no start `meta_mask`"):
            judge([one], settings(), seconds)
        with pytest.raises(InputError, match="no study of the task `sphere`"):
            judge([one], settings(methods=["meta"], tasks=["mnist", "sphere"]), seconds)
        without = replace(one, counts=one.counts[one.counts["start"] != "meta"])
        with pytest.raises(InputError, match="no counts of meta by sinkhorn, looked at every 1 "):
            judge([without], settings(methods=["meta"]), seconds)


def test_a_file_of_an_earlier_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "traces.safetensors"
    save_arrays(path, {"errors/zeros": np.ones((1, 1))}, {"settings": {}, "times": [], "format": 1})
    with pytest.raises(InputError, match="no study of starts of format 2"):
        results.read([tmp_path / "absent.csv"], [path])
    with pytest.raises(InputError, match="no study of starts of format 2"):
        figures.write("meta_errors", [path], PUBLISHED, tmp_path / "f.pdf", tmp_path / "f.png")


def traced(lost: list[int], drawn: dict[str, Any] | None) -> figures.Traced:
    arrays = {f"errors/{name}": np.ones((2, 3)) for name in ("zeros", "gaussian")}
    kinds = ["solution"] if drawn is None else ["solution", "prediction"]
    arrays |= {f"frames/{kind}": np.ones((1, 2, 3, 3)) for kind in kinds}
    sphere = np.eye(3)
    arrays |= {"sphere/supply": sphere, "sphere/demand": sphere, "sphere/amounts": np.ones(3)}
    arrays |= {f"sphere/{kind}": np.array([1, 2, 0]) for kind in kinds}
    if drawn is not None:
        arrays["errors/meta"] = np.ones((2, 3))
    metadata = {
        "networks": {"meta": {"seeds": [0, 1, 2], "diverged": lost}},
        "drawn": drawn,
        "data": {"label": "digits", "source": "folder"},
        "preset": None,
    }
    return figures.Traced("mnist", arrays, metadata)


def test_a_prediction_is_named_and_none_is_drawn_where_there_is_none() -> None:
    def texts(figure: Figure) -> str:
        return " | ".join(text.get_text() for text in figure.findobj(Text))

    known = pd.DataFrame({"task": [], "start": [], "iteration": [], "error": []})
    one = traced([0], {"start": "meta", "seed": 2})
    assert "Meta OT, seed 1 of 3 (1 diverged)" in texts(figures.errors([one], known))
    for draw in (figures.interpolation, figures.sphere):
        figure = draw([one])
        assert "prediction: Meta OT, seed 2 of 3 (1 diverged)" in texts(figure)
        assert "| prediction |" in f"| {texts(figure)} |"
    none = traced([0, 1, 2], None)
    assert "Meta OT: all 3 seeds diverged" in texts(figures.errors([none], known))
    for draw in (figures.interpolation, figures.sphere):
        figure = draw([none])
        assert "no prediction: no seed of a network finished" in texts(figure)
        assert "| prediction |" not in f"| {texts(figure)} |"
        assert len(figure.axes) == {figures.interpolation: 2, figures.sphere: 1}[draw]
