"""A small cell of the benchmark's kind, not trained, whose potential is strongly convex."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from w2dual.config.grid import cells_in
from w2dual.config.reader import load
from w2dual.evaluation.trained import Trained
from w2dual.measures.pairs import gaussian
from w2dual.training.methods.dual import make as make_problem
from w2dual.training.pretraining import fresh_params

ROOT = Path(__file__).parents[3]
DIMENSION = 4


@pytest.fixture(scope="session")
def cell() -> Trained:
    config = load([ROOT / "config.yaml", ROOT / "presets" / "smoke.yaml"])
    found = next(
        one
        for one in cells_in("hd", config)
        if (one.potential, one.amortization, one.solver) == ("icnn", "regression", "lbfgs")
    )
    settings = found.settings | {
        "potential": found.settings["potential"] | {"hidden": [16, 16]},
        "amortization_model": found.settings["amortization_model"] | {"hidden": [8]},
        "seeds": [0],
    }
    small = dataclasses.replace(found, pair="hd4", dimension=DIMENSION, settings=settings)
    problem = make_problem(settings, DIMENSION)
    pair = gaussian.from_arrays(*gaussian.draw(DIMENSION, 0))
    record = {"cell": small.to_json(), "preset": config["preset"]}
    return Trained(small, record, 0, problem, fresh_params(problem, small), pair)
