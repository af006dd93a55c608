"""Metrics recovered from samples of successive times: what the report says of their cells."""

from __future__ import annotations

import pandas as pd

from w2dual.config.names import words
from w2dual.report.systems.base import System
from w2dual.results.measured.metric_recovery import MEASURED

SOURCES = {"generated": "made here", "file": "of a file"}


def facts(part: pd.DataFrame) -> list[tuple[str, str]]:
    """Say which sets there are, and where their samples are from."""
    made = " and ".join(SOURCES[name] for name in sorted(set(part["measures_source"])))
    sets = ", ".join(words(str(name)) for name in part["pair"].unique())
    return [("Samples there", f"{sets}: {made}")]


SYSTEM = System(
    kind="metric_recovery",
    measured=MEASURED,
    title="Recovered metrics",
    section="Metrics recovered from samples",
    tables={
        "metric_recovery": (
            "How well metrics learned from samples of successive times are aligned with those "
            "that the samples moved under. What to look at: our rows against the published ones, "
            "Scarvelis and Solomon's metric as trained here, and how far all are above chance."
        ),
        "hyperparameters_metric_recovery": (
            "Settings of the cells that recover a metric, from the config that ran. What to look "
            "at: values with a dagger, which are not those of config.yaml."
        ),
    },
    figures={
        "metric_fields": (
            "The direction that a metric is cheapest along, learned (black) and true (grey), over "
            "the samples, lighter with time; a row of panels for each method. The published figure "
            "exchanges the titles of mass splitting and of the X paths [seen on the poster]; here "
            "each panel has its own. What to look at: where there are samples, whether black and "
            "grey lie on one line; elsewhere nothing is learned, and the score counts it too."
        ),
        "metric_paths": (
            "Samples of the first time (black), taken through the maps of all times along the "
            "paths that the network predicts (red), over the samples, for methods that have maps. "
            "What to look at: whether paths stay among the samples from the first time to the last."
        ),
    },
    facts=facts,
)
