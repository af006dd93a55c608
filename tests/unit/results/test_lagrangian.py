"""The table of Lagrangian costs and the claims about it, on hand-made metrics."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.unit import settings

from w2dual.config.systems import lagrangian as system
from w2dual.records import InputError
from w2dual.report.tables.lagrangian import claims_tex, table_tex
from w2dual.results.lagrangian import LagrangianSettings, published, setting_of, tidy
from w2dual.results.lagrangian_claims import judge

PUBLISHED = Path(__file__).parents[3] / "tables" / "published"
METHODS = [{"method": "nlot_newton"}, {"method": "nlsb"}]
CONFIG = settings.PAPER | {"lagrangian": settings.PAPER["lagrangian"] | {"methods": METHODS}}
SETTINGS = LagrangianSettings.from_json(system.table(CONFIG))


def _frame(**changes: Any) -> pd.DataFrame:
    """Metrics of a perfect run of three seeds, with other values for some columns, and NLSB's."""
    found = pd.DataFrame(
        [
            {"cell": f"lagrangian_{name}-plain_elu-nlot_newton", "amortization": "nlot_newton"}
            | {"seed": seed, "status": "finished", "steps": 1000, "preset": "paper"}
            for name in SETTINGS.settings
            for seed in SETTINGS.seeds
        ]
    )
    seed = found["seed"]
    numbers = {"published": 0.0127 + 0.001 * seed, "published_floor": 0.0127 + 0.001 * seed}
    numbers |= {"w2": 0.002 + 0 * seed, "w2_floor": 0.002 + 0 * seed}
    numbers |= {"cost": 0.2476 + 0 * seed, "cost_reference": 0.2475 + 0 * seed}
    walls = found["cell"].str.contains("_box-|_slit-")
    numbers |= {"path_gap": 0.0 * seed, "inside_fraction": (0.0 * seed).where(walls)}
    numbers |= {"conjugate_iterations_mean": 5.0 + 0 * seed}
    numbers |= {"own_cost": 0.25 + 0 * seed}
    numbers |= dict.fromkeys(EXPECTED.values(), np.nan)
    found = found.assign(**(numbers | changes))
    return pd.concat([found, _baseline(found)], ignore_index=True)


def _baseline(found: pd.DataFrame) -> pd.DataFrame:
    """NLSB's metrics: a drawn path ends as well as a map takes points, the mean far away."""
    cells = found["cell"].str.replace("plain_elu-nlot_newton", "nlsb")
    seed = found["seed"]
    numbers = {"published": 0.02 + 0.001 * seed, "inside_fraction": 0.3, "path_gap": np.nan}
    numbers |= dict.fromkeys(EXPECTED.values(), 0.15 + 0.001 * seed)
    numbers |= {"conjugate_iterations_mean": np.nan}
    return found.assign(cell=cells, amortization="nlsb", **numbers)


EXPECTED = {name: f"{name}_expected" for name in ("w2", "published", "cost", "inside_fraction")}


def _tidy(frame: pd.DataFrame) -> pd.DataFrame:
    return tidy(frame, PUBLISHED, SETTINGS)


def test_numbers_are_times_100_and_stand_beside_floor_and_published_values():
    found = _tidy(_frame()).set_index(["method", "setting", "quantity"])
    well: Any = found.loc["nlot_newton"].loc["well"].loc["published"]
    assert well["mean"] == pytest.approx(1.37)
    assert well["std"] == pytest.approx(100 * np.std([0.0127, 0.0137, 0.0147]))
    assert well["floor"] == well["mean"]
    assert found.loc[("NLOT", "hill", "published"), "mean"] == 1.8
    assert found.loc[("NLSB (expected)", "slit", "published"), "std"] == 1.8
    assert setting_of("lagrangian_box-plain-nlot") == "box"


def test_published_values_are_those_of_the_talk():
    text = (Path(__file__).parents[3] / "tables/published/lagrangian.csv").read_text()
    assert len(published(PUBLISHED)) == 12
    assert "NLOT,nlot,box,1.6,0.2" in text


def test_what_no_seed_has_is_unknown_and_not_diverged():
    found = _tidy(_frame()).set_index(["method", "setting", "quantity"])
    for setting, entry in (("box", 0.0), ("well", np.nan)):
        row: Any = found.loc["nlot_newton"].loc[setting].loc["inside"]
        np.testing.assert_equal((row["mean"], row["diverged_seeds"]), (entry, 0))
    gap: Any = found.loc["nlsb_stochastic"].loc["box"].loc["path_gap"]
    assert np.isnan(gap["mean"])
    judged = judge(_tidy(_frame()), PUBLISHED, SETTINGS.alpha, SETTINGS.random)
    outside = judged[judged["claim"] == "paths go around obstacles"].iloc[0]
    assert (outside["supported"], outside["contradicted"]) == (2, 0)
    assert "0.0 & 0.0 & -- & --" in table_tex(found.reset_index(), SETTINGS).replace(
        r" {\scriptsize$\pm$0.0}", ""
    )


def test_an_error_that_is_no_number_says_that_its_seed_diverged():
    """Every method has errors and costs, so none of them is missing for another reason."""
    found = _tidy(_frame(published=np.nan, cost=np.nan, own_cost=np.nan))
    broken = found[found["quantity"].isin(["published", "cost", "own_cost"])]
    broken = broken[(broken["method"] == "nlot_newton") & (broken["source"] == "ours")]
    assert len(broken) == 3 * len(SETTINGS.settings)
    assert (broken["diverged_seeds"] == len(SETTINGS.seeds)).all()


def test_a_missing_seed_or_setting_is_an_error():
    frame = _frame()
    with pytest.raises(InputError, match=r"nlot_newton, box has seeds \[1, 2\]"):
        _tidy(frame.iloc[1:])
    with pytest.raises(InputError, match="no cell nlot_newton, well"):
        _tidy(frame[~frame["cell"].str.contains("well")])


def test_a_random_map_has_a_row_of_drawn_paths_and_one_of_their_mean():
    assert SETTINGS.random == ("nlsb",)
    found = _tidy(_frame()).set_index(["method", "setting", "quantity"])
    assert found.loc[("nlsb_stochastic", "box", "published"), "mean"] == pytest.approx(2.1)
    assert found.loc[("nlsb_expected", "box", "published"), "mean"] == pytest.approx(15.1)
    assert found.loc[("nlsb_expected", "box", "inside"), "mean"] == pytest.approx(15.1)
    assert found.loc[("nlsb_expected", "box", "w2"), "floor"] == pytest.approx(0.2)
    assert ("nlsb_expected", "box", "own_cost") not in found.index
    text = table_tex(found.reset_index(), SETTINGS)
    for row in ("NLSB (stochastic) &", "NLSB (expected) &", "NLSB (expected)* &", "of $U$"):
        assert row in text
    without = _tidy(_frame())
    alone = without[~without["method"].isin(["nlsb_stochastic", "nlsb_expected"])]
    assert "trained here" not in " ".join(judge(alone, PUBLISHED, SETTINGS.alpha)["claim"])


BELOW = {"the error is below NLSB's", "the error is below that of NLSB trained here"}


@pytest.mark.parametrize(
    ("changes", "failing"),
    [
        ({}, set()),
        ({"published": 0.2}, {*BELOW, "maps push the source onto the target"}),
        ({"published": 0.03}, {"maps push the source onto the target"}),
        ({"inside_fraction": 0.1}, {"paths go around obstacles"}),
        ({"cost": 0.26}, {"what is learned is the least action"}),
    ],
)
def test_claims_fail_where_their_quantity_does(changes: dict[str, Any], failing: set[str]):
    judged = judge(_tidy(_frame(**changes)), PUBLISHED, SETTINGS.alpha, SETTINGS.random)
    assert set(judged["method"]) == {"nlot_newton"}
    assert set(judged[judged["verdict"] == "fails"]["claim"]) == failing
    assert "holds" in set(judged["verdict"])


def test_the_tables_say_what_they_hold():
    found = _tidy(_frame())
    text = table_tex(found, SETTINGS)
    assert "NLSB (expected)*" in text
    assert r"1.37 {\scriptsize$\pm$0.08}" in text
    assert "Perfect map: the floor" in text
    assert "NLOT, exact paths 1,000" in text
    claims = claims_tex(judge(found, PUBLISHED, SETTINGS.alpha, SETTINGS.random), SETTINGS)
    assert "Paths go around obstacles" in claims
