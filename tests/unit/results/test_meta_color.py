"""The table and claims of colour transport, on studies that are made by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from w2dual.plots import meta_color as figure
from w2dual.records import InputError, load_arrays, save_arrays
from w2dual.report.tables.meta_color import TABLES, claims_tex, table_tex, write
from w2dual.results import meta_color
from w2dual.results.meta_color import ColorSettings, Scale, read, tidy
from w2dual.results.meta_color_claims import claims, interval, worth

PUBLISHED = Path(__file__).parents[3] / "tables" / "published"
ENDS = ("psi", "psi_bar")
DRAWN = ("gaussian", "w2gn", "meta")
CELL = "palettes_histogram-meta_histogram"


def settings(**changes: Any) -> ColorSettings:
    given: dict[str, Any] = {"preset": "p", "label": "l", "reduced": False, "iterations": 5}
    given |= {"batch_size": 8, "seeds": (0,), "evaluation_samples": 4}
    return ColorSettings(**given | {"cells": (CELL,), "steps": 2000, "alpha": 0.05} | changes)


def study(path: Path, meta: list[float], name: str = CELL, **facts: Any) -> Path:
    """Values of 3 pairs whose exact costs are 2; W2GN goes from 0 to 1.6 in steps of 250."""
    updates = np.arange(0, 2001, 250)
    w2gn = np.tile(np.linspace(0.0, 1.6, 9), (3, 1))
    of_meta = np.tile(meta, (3, 1)) + np.array([[0.0], [0.01], [-0.01]])
    arrays = {
        "exact": np.full(3, 2.0),
        "floor": np.full(3, 0.02),
        "test_pairs": np.array([[0, 1], [1, 2], [2, 0]], np.int32),
        "updates": updates,
        "identity.bounds": np.zeros(3),
        "gaussian.bounds": np.full(3, 1.0),
        "gaussian.converged": np.ones(3),
    }
    for row, bounds in (("w2gn", w2gn), ("meta_w2gn", of_meta), ("meta_lbfgs", of_meta)):
        arrays |= {f"{row}.bounds": bounds, f"{row}.converged": np.full((3, 9), 0.5)}
        arrays |= {f"{row}.seconds": updates / 1000.0}
    known = {"format": 2, "cell": {"name": name, "amortization": name.partition("-")[2]}}
    known |= {"seed": 1, "seeds": [0, 1, 2], "diverged": [0]}
    known |= {"prediction_s": 0.25, "measures_source": "packaged", "device": "a CPU"} | facts
    save_arrays(path, arrays, known)
    return path


META = [1.2, 1.5, 1.6, 1.7, 1.8, 1.8, 1.8, 1.8, 1.8]


def test_values_are_normalised_by_the_runs_of_w2gn_and_shown_as_gaps(tmp_path: Path):
    found = tidy(read([study(tmp_path / "s", META)], settings()), PUBLISHED, settings())
    at = found.set_index(["row", "updates"])
    assert at.loc[("w2gn", 0), "normalised_mean"] == 0
    assert at.loc[("meta_w2gn", 2000), "normalised_mean"] == pytest.approx(1.0)
    highest = np.array([1.8, 1.81, 1.79])
    assert at.loc[("gaussian", 0), "normalised_mean"] == pytest.approx(np.mean(1 / highest))
    assert at.loc[("gaussian", 0), "gap_percent_mean"] == pytest.approx(50.0)
    assert at.loc[("identity", 0), "gap_percent_mean"] == pytest.approx(100.0)
    assert at.loc[("w2gn", 2000), "gap_percent_mean"] == pytest.approx(20.0)
    assert at.loc[("w2gn", 2000), "floor_percent_mean"] == pytest.approx(1.0)
    # The prediction's own seconds are a part of what follows it.
    assert at.loc[("meta", 0), "seconds"] == 0.25
    assert at.loc[("meta_w2gn", 1000), "seconds"] == 1.25
    assert at.loc[("w2gn", 1000), "seconds"] == 1.0


def test_published_values_say_after_how_many_updates_they_are(tmp_path: Path):
    found = tidy(read([study(tmp_path / "s", META)], settings()), PUBLISHED, settings())
    at = found.set_index(["row", "updates"])
    assert at.loc[("w2gn", 1000), "published_mean"] == 0.96  # the table's, not the figure's
    assert at.loc[("w2gn", 1000), "published_updates"] == 751
    assert at.loc[("w2gn", 500), "published_mean"] == 0.896  # the figure's alone
    assert at.loc[("meta", 0), "published_seconds"] == 0.0035
    assert at["published_mean"].isna()[("gaussian", 0)]


def test_claims_hold_or_fail_by_their_intervals(tmp_path: Path):
    good = claims(read([study(tmp_path / "s", META)], settings()), PUBLISHED, settings())
    assert list(good["verdict"]) == ["holds"] * 5
    assert list(good["published_verdict"]) == ["", "holds", "holds", "holds", "holds"]
    assert good["published"].iloc[1] == pytest.approx(0.901 - 0.896)
    assert good["published"].iloc[2] == pytest.approx(0.986 - 0.985)
    assert good["published"].iloc[3] == pytest.approx(0.997 - 0.962)
    poor = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    bad = claims(read([study(tmp_path / "t", poor)], settings()), PUBLISHED, settings())
    assert list(bad["verdict"]) == ["fails"] * 5
    reduced = settings(reduced=True)
    doubted = claims(read([study(tmp_path / "u", META)], reduced), PUBLISHED, reduced)
    assert list(doubted["verdict"]) == ["inconclusive"] * 5
    assert all("reduced budget: preset p; else: holds" in reason for reason in doubted["reason"])


def test_a_value_is_worth_the_updates_that_reach_it():
    curve, updates = np.array([0.0, 0.4, 0.3, 0.8]), [0, 10, 20, 30]
    assert worth(-1.0, curve, updates) == 0.0
    assert worth(0.2, curve, updates) == pytest.approx(5.0)
    assert worth(0.4, curve, updates) == pytest.approx(10.0)
    assert worth(0.6, curve, updates) == pytest.approx(25.0)  # what is lost again does not count
    assert worth(0.9, curve, updates) == np.inf


def test_claims_about_worth_give_it_in_updates_with_an_interval(tmp_path: Path):
    path = study(tmp_path / "s", [0.8, 1.5, *META[2:]])
    arrays, facts = load_arrays(path)
    arrays["meta_w2gn.bounds"][:, 0] = [0.4, 0.8, 1.2]
    arrays["meta_w2gn.bounds"][:, 1] = [1.2, 1.3, 1.7]
    save_arrays(path, arrays, facts)
    found = claims(read([path], settings()), PUBLISHED, settings())
    first, second = found.iloc[1], found.iloc[2]
    # W2GN gains 0.2 in 250 updates: 0.8 is worth 1,000; a mean of three pairs lies between theirs.
    assert first["worth"] == pytest.approx(1000, rel=0.02)
    assert 500 <= first["worth_low"] < 800
    assert 1200 < first["worth_high"] <= 1500
    assert second["worth"] == pytest.approx(1750, rel=0.02)
    assert second["worth_high"] == np.inf
    assert first["published_worth"] == pytest.approx(251 + 250 * (0.901 - 0.896) / (0.947 - 0.896))
    assert second["published_worth"] == np.inf
    assert found["worth"].isna().tolist() == [True, False, False, True, True]
    text = claims_tex(found, "folder", settings())
    assert r"more than all]; published: more than all" in text
    assert r"published: 276" in text


def test_an_interval_of_one_value_is_the_whole_line():
    assert interval(np.array([1.0]), 0.05) == (-np.inf, np.inf)
    low, high = interval(np.array([1.0, 2.0, 3.0]), 0.05)
    assert (low + high) / 2 == pytest.approx(2.0)
    assert high - 2.0 == pytest.approx(4.302653 / np.sqrt(3), rel=1e-5)


def test_tables_say_what_stands_in_and_what_the_published_values_are_of(tmp_path: Path):
    studies = read([study(tmp_path / "s", META)], settings())
    found = tidy(studies, PUBLISHED, settings())
    found.attrs["published"] = meta_color.published(PUBLISHED)
    text = table_tex(found, settings())
    assert "Stand-in images:" in text
    assert "18 of 19 pairs" in text
    assert "751 and 1,751" in text
    assert r"$0.90\pm0.061$" in text
    rows = claims(studies, PUBLISHED, settings())
    assert "Gaussian map" in claims_tex(rows, "packaged", settings())
    own = read([study(tmp_path / "o", META, measures_source="folder")], settings())
    assert "Stand-in" not in claims_tex(claims(own, PUBLISHED, settings()), "folder", settings())


def test_tables_say_which_seed_of_how_many_they_are_of(tmp_path: Path):
    path = study(tmp_path / "s", META)
    for name in TABLES:
        tex, csv = tmp_path / f"{name}.tex", tmp_path / f"{name}.csv"
        write(name, [path], PUBLISHED, settings(), tex, csv)
        assert "histogram: seed 1 of 3 (1 diverged)" in tex.read_text()
        frame = pd.read_csv(csv)
        of_network = frame[frame["method"].notna()]
        seeds = of_network[["seed", "seeds", "diverged_seeds"]].drop_duplicates()
        assert seeds.to_numpy().tolist() == [[1, 3, 1]]
        assert frame[frame["method"].isna()]["seed"].isna().all()  # no network has a part in them
        assert set(frame["measures_source"]) == {"packaged"}
        write(name, [study(tmp_path / "t", META, diverged=[])], PUBLISHED, settings(), tex, csv)
        assert "histogram: seed 1 of 3." in tex.read_text()
        assert "diverged)" not in tex.read_text()


def lost(path: Path, name: str = CELL) -> Path:
    """A study of a cell whose seeds all diverged: without arrays of its network."""
    arrays, facts = load_arrays(study(path, META, name))
    arrays = {key: item for key, item in arrays.items() if not key.startswith("meta")}
    facts |= {"seed": None, "diverged": [0, 1, 2], "prediction_s": None}
    save_arrays(path, arrays, facts)
    return path


def test_a_cell_whose_seeds_all_diverged_is_shown_so_and_fails_its_claims(tmp_path: Path):
    other = "palettes_squashed-meta_residual"
    own = settings(cells=(CELL, other))
    paths = [lost(tmp_path / "l"), study(tmp_path / "s", META, other)]
    tex, csv = tmp_path / "t.tex", tmp_path / "t.csv"
    write("meta_ot_color", paths, PUBLISHED, own, tex, csv)
    rows = [line for line in tex.read_text().splitlines() if "histogram &" in line]
    assert len(rows) == 3  # the prediction, and what follows it by W2GN and by L-BFGS
    assert all("diverged ($3/3$)" in line and "nan" not in line for line in rows)
    assert "histogram: all 3 seeds diverged" in tex.read_text()
    frame = pd.read_csv(csv)
    gone = frame[frame["method"] == "meta_histogram"]
    assert gone["diverged_seeds"].unique().tolist() == [3]
    assert np.isinf(gone["gap_percent_mean"]).all()
    assert gone[["seed", "seconds", "normalised_std"]].isna().all(axis=None)
    # What another network and W2GN are worth is the same as without it.
    rest = frame[frame["method"] != "meta_histogram"].reset_index(drop=True)
    write("meta_ot_color", paths[1:], PUBLISHED, settings(cells=(other,)), tex, csv)
    pd.testing.assert_frame_equal(rest, pd.read_csv(csv), check_dtype=False)
    write("claims_meta_ot_color", paths, PUBLISHED, own, tex, csv)
    frame = pd.read_csv(csv)
    assert frame["verdict"].tolist() == ["fails"] * 5 + ["holds"] * 5
    assert frame["reason"].tolist()[:5] == ["all 3 seeds diverged"] * 5
    assert frame["worth"].tolist()[:5] == pytest.approx([np.nan] * 5, nan_ok=True)
    text = tex.read_text()
    assert text.count("& diverged &") == 5
    assert "diverged: all seeds of the network did" in text
    assert "inf" not in text
    reduced = settings(cells=(CELL,), reduced=True)
    write("claims_meta_ot_color", paths[:1], PUBLISHED, reduced, tex, csv)
    said = "reduced budget: preset p; else: fails, all 3 seeds diverged"
    assert pd.read_csv(csv)["reason"].tolist() == [said] * 5


def test_the_figure_draws_no_prediction_where_there_is_none(tmp_path: Path):
    arrays, facts = load_arrays(lost(tmp_path / "l"))
    arrays |= {f"{name}.{end}": np.zeros((3, 653)) for name in DRAWN[:2] for end in ENDS}
    facts |= {"preset": {"name": "p", "reduced": False}}
    assert [label for label, *_ in figure.rows_of([(arrays, facts)], 0)] == [
        "Gaussian map",
        "W2GN,\n2,000 updates",
    ]
    pictures = {f"picture.{i}": np.full((2, 3, 4), 255, np.uint8) for i in range(3)}
    drawn = figure.draw([(arrays, facts)], pictures)
    assert "no prediction of Meta OT, histogram: all 3 seeds diverged" in drawn.texts[-1].get_text()


def test_the_figure_says_which_seed_it_is_of():
    arrays = {f"{name}.{end}": np.zeros((1, 2)) for name in DRAWN for end in ENDS}
    facts = {"cell": {"amortization": "meta_histogram"}, "seed": 1}
    facts |= {"seeds": [0, 1, 2], "diverged": [0]}
    rows = figure.rows_of([(arrays | {"updates": np.array([0, 10])}, facts)], 0)
    assert [label for label, *_ in rows] == [
        "Gaussian map",
        "W2GN,\n10 updates",
        "Meta OT,\nhistogram\nprediction,\nseed 1 of 3 (1 diverged)",
    ]


def test_all_runs_of_w2gn_set_the_scale(tmp_path: Path):
    other = CELL.replace("histogram-", "histogram-other_")
    paths = [study(tmp_path / "s", META), study(tmp_path / "t", [1.9] * 9, name=other)]
    scale = Scale(read(paths, settings(cells=(CELL, other))))
    np.testing.assert_allclose(scale.high, [1.9, 1.91, 1.89])


def test_studies_that_do_not_fit_are_refused(tmp_path: Path):
    early = study(tmp_path / "e", META, format=1)
    with pytest.raises(InputError, match="no study of colour transport of format 2"):
        figure.write([early], early, tmp_path / "f.pdf", tmp_path / "f.png")
    path = study(tmp_path / "s", META)
    with pytest.raises(InputError, match="no study of other"):
        read([path], settings(cells=(CELL, "other")))
    with pytest.raises(InputError, match="no study of colour transport of format"):
        read([study(tmp_path / "t", META, format=7)], settings())
