"""Meta OT between discrete measures: what the report says of its cells."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

import pandas as pd

from w2dual.config.names import words
from w2dual.report.latex import escape
from w2dual.report.systems.base import System
from w2dual.results.measured.meta_sinkhorn import MEASURED
from w2dual.results.meta_sinkhorn import STAND_INS


def facts(part: pd.DataFrame) -> list[tuple[str, str]]:
    """Say what the measures are made of."""
    data = [
        f"{words(str(row['pair']))}: "
        + (f"a stand-in, {row['measures_source']}" if _stands_in(row) else "the data itself")
        for row in part.drop_duplicates("pair").to_dict("records")
    ]
    return [("Data there", "; ".join(data))]


def warnings(part: pd.DataFrame) -> list[str]:
    """Name the data that a stand-in is used for."""
    found = []
    for source, what in STAND_INS.items():
        stand_ins = part[part["measures_source"] == source]["pair"]
        if not len(stand_ins):
            continue
        named = ", ".join(escape(words(str(pair))) for pair in dict.fromkeys(stand_ins))
        found.append(
            rf"\textbf{{Stand-in data}} of Meta OT for {named}: {what}, as the tables and figures "
            "say. Values there are not comparable with published ones."
        )
    return found


def _stands_in(row: Mapping[Hashable, object]) -> bool:
    return row["measures_source"] in STAND_INS


SYSTEM = System(
    kind="meta_sinkhorn",
    measured=MEASURED,
    title="Meta OT, discrete",
    section="Meta OT: starts of entropic transport",
    introduction=(
        r"Entropic transport between discrete measures on fixed points: a network predicts the "
        r"dual potential $f$ from both measures' weights, and a solver goes on from there. Start "
        r"and solver are two axes: zeros, the potential between the normal laws with the measures' "
        r"moments, predictions; Sinkhorn, over-relaxed or not, and L-BFGS and Newton on the "
        r"semi-dual, which is concave. No start changes the rate at which Sinkhorn's error falls "
        r"in the end, so that it saves a constant number of iterations; another solver changes it."
    ),
    tables={
        "meta_ot_sinkhorn": (
            "Starts by solvers: iterations and kernel products until the marginals' error is "
            "below a tolerance, what a start saves against zeros, and milliseconds, with the "
            "published ones in grey (of another device). What to look at: what a prediction saves "
            "at each tolerance, and what the solver saves that needs no network."
        ),
        "claims_meta_ot": (
            "What the published tables of starts show, and what a start can save, on the same "
            "pairs of measures. What to look at: claims whose word differs from the published "
            "one's."
        ),
        "hyperparameters_meta_sinkhorn": (
            "Settings of Meta OT between discrete measures, from the config that ran. What to look "
            r"at: values with a dagger, which are not those of config.yaml."
        ),
    },
    figures={
        "meta_errors": (
            r"The error $\|P'1-b\|_1$ of Sinkhorn from each start, iteration by iteration: mean "
            "and standard deviation over the first pairs of measures. Dashed: published curves, "
            "read from the published figure; its instances were easier or its solver another (not "
            "known), so that levels differ already from zeros. What to look at: the distance "
            "between starts, and that lines are parallel in the end."
        ),
        "meta_interpolation": (
            "Measures on the way from one image to another, mass moved in straight lines by the "
            "converged plan and by that of the prediction alone. What to look at: whether both "
            "rows of a pair look alike, and grey haze, which is mass that went astray."
        ),
        "meta_sphere": (
            "Supply (large dots) and demand (small dots) on the Earth, each demand joined with "
            "the place that supplies most of it: by the converged plan and by the prediction "
            "alone. What to look at: lines that cross, which an optimal plan would avoid."
        ),
    },
    facts=facts,
    warnings=warnings,
)
