"""What tests of the report share: its settings and its cells."""

from typing import Any

from w2dual.report import facts

MADE = facts.Origin("d" * 40, 1_700_000_000)
SOLVERS = ("none", "lbfgs")
PLANE = [
    f"{pair}-{potential}-regression-lbfgs"
    for pair, potential in (
        ("maf_moon", "icnn_leaky"),
        ("gauss8", "icnn_leaky"),
        ("maf_moon", "icnn_smooth"),
    )
]


def settings(**changes: Any) -> dict[str, Any]:
    return {
        "preset": {"name": "smoke", "label": "50% of {a} test", "reduced": True},
        "dimensions": [2],
        "potentials": ["mlp"],
        "methods": [{"amortization": "objective", "solver": solver} for solver in SOLVERS],
        "decimals": 2,
        "diverged_above": 100.0,
        "budget": {"iterations": 2000, "batch_size": 256, "seeds": [0, 1]}
        | {"evaluation_samples": 4096},
        "plane": {
            "preset": {"name": "smoke", "label": "50% of {a} test", "reduced": True},
            "budget": {"iterations": 3000, "batch_size": 512, "seeds": [0, 1]}
            | {"evaluation_samples": 1024},
            "epsilon": 0.05,
            "cells": PLANE,
        },
        "images": None,
    } | changes


def loaded(**changes: Any) -> facts.ReportSettings:
    return facts.ReportSettings.from_json(settings(**changes))
