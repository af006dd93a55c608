"""The studies of conjugation, which have no cells: they look at those of others."""

from __future__ import annotations

from w2dual.config.rows import check_known
from w2dual.config.schema import Config
from w2dual.config.systems.base import System
from w2dual.records import InputError


def check(config: Config) -> None:
    """Check the names of what is studied, and that there are as many points."""
    study = config["conjugation"]
    check_known(
        config, "conjugation.method.amortization", study["method"]["amortization"], "amortizations"
    )
    check_known(config, "conjugation.method.solver", study["method"]["solver"], "solvers")
    check_known(
        config, "conjugation.line_search.potential", study["line_search"]["potential"], "potentials"
    )
    for name in ("lbfgs", "adam"):
        check_known(config, f"conjugation.{name}", study[name], "solvers")
        kind = config["solvers"][study[name]]["kind"]
        if kind != name:
            raise InputError(
                f"config key `conjugation.{name}`: solver `{study[name]}` is of kind `{kind}`; "
                f"expected one of kind `{name}`"
            )
    samples = config["hd"]["evaluation"]["samples"]
    if study["points"] > samples:
        raise InputError(
            f"config key `conjugation.points`: {study['points']} is more than "
            f"`hd.evaluation.samples` = {samples}"
        )
    images = config["celeba64"]["evaluation"]["history_samples"]
    if study["points"] > images and config["celeba64"]["generators"]:
        raise InputError(
            f"config key `conjugation.points`: {study['points']} is more than "
            f"`celeba64.evaluation.history_samples` = {images}"
        )


SYSTEM = System(check)
