"""Preparing supply and demand on the sphere: places drawn once from rasters of people and land.

Demand is where people are, with probability by their number, and supply uniform over the cells of
land. That is uniform by cell, and not by area, as published, so that the north has more than its
share. A place is the middle of its cell; the published code moves it within its row by mistake.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from w2dual import seeds
from w2dual.measures.base import FORMAT
from w2dual.measures.discrete import population
from w2dual.measures.pairs.sphere import KIND
from w2dual.measures.preparation.keys import check_keys

SECTION = "measures.discrete"
"""Of the config, which has such pairs."""
KEYS = (
    *("sources", "raster", "demand", "demand_seed", "supply", "supply_seed"),
    *("probability", "epsilon", "cosine_margin"),
)
"""Of the settings, besides the kind."""


def prepare(name: str, settings: Mapping[str, Any]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return a prepared file's arrays and metadata.

    Args:
        name: of the pair.
        settings: of the config's `measures.discrete.NAME`.

    Raises:
        InputError: no source has the rasters, or a setting or a file cannot be used.
    """
    where = f"{SECTION}.{name}"
    check_keys(where, settings, KEYS)
    found = population.obtain(list(settings["sources"]), settings["raster"])
    demand, supply = settings["demand"], settings["supply"]
    of_demand = seeds.checked(settings["demand_seed"], f"{where}.demand_seed")
    of_supply = seeds.checked(settings["supply_seed"], f"{where}.supply_seed")
    shape = found.people.shape
    arrays = {
        "supply": places(drawn(found.land.astype(float), supply, of_supply), shape),
        "demand": places(drawn(found.people, demand, of_demand), shape),
    }
    metadata = {
        "format": FORMAT,
        "kind": KIND,
        "pair": name,
        "dimension": supply,
        "targets": demand,
        "probability": float(settings["probability"]),
        "epsilon": float(settings["epsilon"]),
        "cosine_margin": float(settings["cosine_margin"]),
        "source": found.source,
        "label": found.label,
        "files": found.files,
    }
    return arrays, metadata


def at_hand(settings: Mapping[str, Any]) -> tuple[str, str]:
    """Return which source `prepare` would take, and what is there (`preparation.at_hand`)."""
    return population.at_hand(list(settings["sources"]), settings["raster"])


def drawn(
    weights: Float[np.ndarray, "height width"], count: int, seed: int
) -> Int[np.ndarray, " count"]:
    """Draw cells with probability by their weights, with replacement."""
    law = weights.ravel() / weights.sum()
    return np.random.default_rng(seed).choice(law.size, size=count, p=law)


def places(
    cells: Int[np.ndarray, " count"], shape: tuple[int, ...]
) -> Float[np.ndarray, "count 3"]:
    """Return the middles of cells of a raster as unit vectors: x to longitude 0, z to the north."""
    row, column = np.unravel_index(cells, shape)
    latitude = np.radians(population.latitudes(shape[0])[row])
    longitude = np.radians(population.longitudes(shape[1])[column])
    flat = np.cos(latitude)
    vectors = (flat * np.cos(longitude), flat * np.sin(longitude), np.sin(latitude))
    return np.stack(vectors, axis=1).astype(np.float32)
