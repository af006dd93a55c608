"""Tidy metrics of HD cells made by hand: seeds whose mean and std are those asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from w2dual.results import aggregate
from w2dual.results.verdict import VerdictSettings, published_hd

PUBLISHED = Path(__file__).parents[2] / "tables" / "published"
SEEDS = tuple(range(10))


def settings(seeds: tuple[int, ...] = SEEDS, reduced: bool = False) -> VerdictSettings:
    return VerdictSettings.from_json(settings_json(seeds, reduced))


def settings_json(seeds: tuple[int, ...] = SEEDS, reduced: bool = False) -> dict[str, Any]:
    return {
        "dimensions": [2, 4, 8, 16, 32, 64, 128, 256],
        "methods": [],
        "decimals": 2,
        "diverged_above": 100.0,
        "preset": {"name": "mine", "label": "made by hand", "reduced": reduced},
        "budget": {"iterations": 250001, "batch_size": 1024, "seeds": list(seeds)}
        | {"evaluation_samples": 16384},
        "verdict": {"alpha": 0.05, "margin_fraction": 0.25, "margin_floor": 0.02, "min_seeds": 5},
    }


def values(mean: float, std: float, number: int) -> np.ndarray:
    """Values with exactly this mean and this std (ddof 0)."""
    raw = np.linspace(-1.0, 1.0, number) if number > 1 else np.zeros(1)
    return mean + std * raw / (raw.std() or 1.0)


def rows(
    cell: Any,
    mean: float,
    std: float,
    seeds: tuple[int, ...] = SEEDS,
    diverged: int = 0,
    before: float | None = 1e6,
    source: str = "mirror",
) -> list[dict[str, Any]]:
    """Rows of one cell; the first `diverged` seeds have diverged, with the error `before`.

    None stands for the value that the seed would have had.
    """
    name = f"hd{cell.dimension}-{cell.potential}-{cell.amortization}-{cell.solver}"
    one = dict.fromkeys(aggregate.columns(aggregate.HD), None) | {
        "cell": name,
        "pair": f"hd{cell.dimension}",
        "dimension": int(cell.dimension),
        "potential": cell.potential,
        "amortization": cell.amortization,
        "solver": cell.solver,
        "preset": "mine",
        "measures_source": source,
    }
    return [
        one
        | {
            "seed": seed,
            "status": "diverged" if place < diverged else "finished",
            "l2_uvp_forward_percent": np.nan if place < diverged else value,
            "before_divergence": (value if before is None else before)
            if place < diverged
            else np.nan,
        }
        for place, (seed, value) in enumerate(
            zip(seeds, values(mean, std, len(seeds)), strict=True)
        )
    ]


def as_published(**changes: Any) -> pd.DataFrame:
    """Every published cell with its published mean and std, diverged where it says so."""
    found: list[dict[str, Any]] = []
    cell: Any
    for cell in published_hd(PUBLISHED).itertuples(index=False):
        number = len(changes.get("seeds", SEEDS))
        mean, std = (1.0, 0.0) if cell.diverged else (cell.mean, cell.std)
        given: dict[str, Any] = {"diverged": number if cell.diverged else 0} | changes
        found += rows(cell, mean, std, **given)
    return pd.DataFrame(found)


def with_cell(frame: pd.DataFrame, name: str, **given: Any) -> pd.DataFrame:
    """The same with another result for one cell."""
    old = frame[frame["cell"] == name]
    new = rows(old.iloc[0], **given)
    return pd.concat([frame[frame["cell"] != name], pd.DataFrame(new)], ignore_index=True)
