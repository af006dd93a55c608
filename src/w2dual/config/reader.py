"""The configuration: reading, merging and checking it. Imports neither JAX nor pandas."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from w2dual.config import schema, strict_yaml
from w2dual.config.rows import check_methods
from w2dual.config.schema import Config
from w2dual.config.systems import SYSTEMS
from w2dual.records import InputError


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> Config:
    """Merge as Snakemake does: mappings merge key by key, anything else replaces."""
    merged = dict(base)
    for key, value in over.items():
        if isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            merged[key] = merge(merged[key], value)
        else:
            merged[key] = value
    return merged


def load(paths: Iterable[str | Path]) -> Config:
    """Read config files in order, each merged over the ones before, and check the result.

    Raises:
        InputError: a file cannot be read, or the merged config is not valid.
    """
    config = read(paths)
    validate(config)
    return config


def read(paths: Iterable[str | Path]) -> Config:
    """Read config files in order, each merged over the ones before, without checking the result.

    Raises:
        InputError: a file cannot be read, or a value in it means something else than what is
            written.
    """
    config: Config = {}
    for path in paths:
        config = merge(config, strict_yaml.load(path))
    return config


def validate(config: Config) -> None:
    """Check the config against the schema, and what a schema cannot say.

    Raises:
        InputError: naming the key, the value and what would be right.
    """
    whole = schema.read()
    schema.check(config, whole, ())
    for section in whole["$defs"]["kinds"]:
        for name, settings in config.get(section, {}).items():
            schema.check_kind(settings, section, f"{section}.{name}")
    check_methods(config)
    _check_weights(config)
    for section, system in SYSTEMS.items():
        system.check(config)
        _check_numbers(section, config[section])


def _check_weights(config: Config) -> None:
    for name, settings in config["amortizations"].items():
        weight = settings.get("weight", 1.0)
        if weight != "dimension" and not (schema.is_number(weight) and weight > 0):
            raise InputError(
                f"config key `amortizations.{name}.weight`: {weight!r}; expected a number above 0 "
                "or `dimension`"
            )


def _check_numbers(name: str, section: Mapping[str, Any]) -> None:
    """Check how often the cells of a section are logged and evaluated, and how they are trained."""
    pretraining = section.get("pretraining", {})
    if pretraining.get("min_iterations", 0) > pretraining.get("iterations", 0):
        raise InputError(
            f"config key `{name}.pretraining.min_iterations`: is above "
            f"`{name}.pretraining.iterations`, so the tolerance could never be met"
        )
    if "logging" not in section:  # it has no cells
        return
    every, history_every = section["logging"]["every"], section["evaluation"]["history_every"]
    if history_every % every:
        raise InputError(
            f"config key `{name}.evaluation.history_every`: {history_every} is "
            f"not a multiple of `{name}.logging.every` = {every} steps"
        )


def output_folder(config: Config) -> str:
    """Return the preset's working folder, relative to the project's root: `.` for the paper."""
    name = config["preset"]["name"]
    return "." if name == "paper" else f"runs/{name}"


def pairs(config: Config) -> dict[str, dict[str, Any]]:
    """Return the pairs of measures that the config's cells use: name -> settings of `prepare`.

    With those of CelebA64, if there are any, comes the generator that they share.
    """
    found = [system.pairs(config) for system in SYSTEMS.values()]
    return {name: dict(settings) for part in found for name, settings in part.items()}
