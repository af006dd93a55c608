"""Qualitative claims of the paper about its tables, each as a check that counts comparisons.

A comparison is supported (shown by a one-sided test, or by one side diverging), contradicted (the
same the other way round), or undecided. p-values are adjusted by Holm over a claim's comparisons,
for either direction. A claim

- holds, where at least half of its comparisons are supported and none is contradicted;
- fails, where more are contradicted than supported;
- is mixed, where neither is so;
- is inconclusive at a reduced budget, with too few seeds or other measures than the published;
- is missing, where the preset lacks the cells for any comparison.

The same check runs on the paper's own numbers (mean, std, 10 seeds), so that a reader sees how
much of the claim its tables carry.

Prior work is the benchmark's own methods: ours, as the last evaluation of a run, like the paper's;
in the paper values quoted from the benchmark, which are the best of a run and are taken as exact.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from w2dual.results import baselines, equivalence
from w2dual.results.frames import read_csv
from w2dual.results.published import read_published
from w2dual.results.verdict import HALF_UNIT, INCONCLUSIVE, MISSING, VerdictSettings

HOLDS, FAILS, MIXED = "holds", "fails", "mixed"
WORDS = (HOLDS, FAILS, MIXED, INCONCLUSIVE, MISSING)
COLUMNS = (
    *("claim", "sentence", "source", "check", "verdict", "reason"),
    *("supported", "contradicted", "undecided"),
    *("published_verdict", "published_supported", "published_contradicted"),
    *("published_undecided", "preset", "reduced"),
)


@dataclass(frozen=True)
class Result:
    """Mean, std (ddof 1) and number of seeds of a cell; the mean is infinite where it diverged."""

    mean: float
    std: float
    seeds: float


Cells = dict[tuple[str, str, str, int | str], Result]
"""By potential, amortization, solver and column of the table: the dimension, of images the pair."""


@dataclass(frozen=True)
class Comparison:
    """One-sided p-values that the claim's quantity is above 0, and below 0."""

    above: float
    below: float


DECIDED_FOR, DECIDED_AGAINST, OPEN = (
    Comparison(0.0, 1.0),
    Comparison(1.0, 0.0),
    Comparison(1.0, 1.0),
)


def compare(worse: Result, better: Result) -> Comparison:
    """Compare errors: for, where `worse` has the higher mean."""
    return _contrast([1.0, -1.0], [worse, better])


def _contrast(weights: list[float], results: list[Result]) -> Comparison:
    finite = [math.isfinite(result.mean) for result in results]
    if not all(finite):
        value = sum(weight for weight, known in zip(weights, finite, strict=True) if not known)
        return DECIDED_FOR if value > 0 else DECIDED_AGAINST if value < 0 else OPEN
    if any(result.seeds < 2 for result in results):
        return OPEN
    found = equivalence.contrast(
        weights,
        [result.mean for result in results],
        [result.std for result in results],
        [result.seeds for result in results],
    )
    above = float(equivalence.p_greater(found))
    return Comparison(above, 1.0 - above)


def _best(cells: Cells, potential: str, column: int | str, solved: bool | None) -> Result | None:
    """Return the best of a potential's methods, with a solver, without, or (None) of all."""
    found = [
        result
        for (name, _, solver, n), result in cells.items()
        if name == potential and n == column and solved in (None, solver != "none")
    ]
    return min(found, key=lambda result: result.mean) if found else None


def _axes(cells: Cells) -> list[tuple[str, int | str]]:
    return list(dict.fromkeys((potential, n) for potential, _, _, n in cells))


def fine_tuning_helps(cells: Cells) -> list[Comparison]:
    """For each potential and n: the best method with a solver against the best without."""
    found = []
    for potential, n in _axes(cells):
        without, solved = (_best(cells, potential, n, kind) for kind in (False, True))
        if without is not None and solved is not None:
            found.append(compare(without, solved))
    return found


def loss_matters_less(cells: Cells) -> list[Comparison]:
    """For each potential, n and solver: |cycle - objective| without a solver, minus that with it.

    ASSUME: the sign of each difference is taken as known, which makes the contrast linear.
    """
    found = []
    for potential, n in _axes(cells):
        plain = [cells.get((potential, loss, "none", n)) for loss in ("cycle", "objective")]
        solvers = {solver for name, _, solver, m in cells if (name, m) == (potential, n)}
        for solver in sorted(solvers - {"none"}):
            solved = [cells.get((potential, loss, solver, n)) for loss in ("cycle", "objective")]
            if None in plain or None in solved:
                continue
            found.append(_spread(plain, solved))  # type: ignore[arg-type]
    return found


def _spread(plain: Sequence[Result], solved: Sequence[Result]) -> Comparison:
    infinite = [
        any(not math.isfinite(result.mean) for result in results) for results in (plain, solved)
    ]
    if any(infinite):
        if all(infinite):
            return OPEN
        return DECIDED_FOR if infinite[0] else DECIDED_AGAINST
    signs = [1.0 if pair[0].mean >= pair[1].mean else -1.0 for pair in (plain, solved)]
    weights = [signs[0], -signs[0], -signs[1], signs[1]]
    return _contrast(weights, [*plain, *solved])


def mlp_beats_icnn(cells: Cells) -> list[Comparison]:
    """For each n: the best ICNN entry against the best MLP entry."""
    found = []
    for n in dict.fromkeys(n for *_, n in cells):
        icnn, mlp = (_best(cells, potential, n, None) for potential in ("icnn", "mlp"))
        if icnn is not None and mlp is not None:
            found.append(compare(icnn, mlp))
    return found


DIVERGES_FROM = 32
"""n; Amos 2023, table 2."""


def objective_diverges(cells: Cells) -> list[Comparison]:
    """For each n of the ICNN: objective without a solver diverges if n >= 32, and else does not."""
    found = []
    for (potential, amortization, solver, n), result in cells.items():
        if (potential, amortization, solver) == ("icnn", "objective", "none"):
            assert isinstance(n, int)  # noqa: S101  (the benchmark's columns are dimensions)
            as_claimed = math.isinf(result.mean) == (n >= DIVERGES_FROM)
            found.append(DECIDED_FOR if as_claimed else DECIDED_AGAINST)
    return found


PRIOR = "prior work"
"""Stands for the potential of the benchmark's own methods."""


def improves_on_prior_work(cells: Cells) -> list[Comparison]:
    """For each n: the best of the benchmark's own methods against the best MLP entry."""
    return [compare(prior, mlp) for prior, mlp in _both(cells).values()]


def _both(cells: Cells) -> dict[int, tuple[Result, Result]]:
    """Return for each n that has both the best prior work and the best MLP entry."""
    found = {}
    for n in sorted({n for *_, n in cells}):
        prior, mlp = (_best(cells, name, n, None) for name in (PRIOR, "mlp"))
        if prior is not None and mlp is not None:
            found[n] = prior, mlp
    return found


@dataclass(frozen=True)
class PriorWork:
    """The benchmark's own methods, and what the paper says of them.

    Attributes:
        native: as `baselines.tidy` returns them.
        quoted: values that the paper quotes: name, dimension, mean.
        printed: the paper's row of factors: potential, dimension, factor.
    """

    native: pd.DataFrame
    quoted: pd.DataFrame
    printed: pd.DataFrame

    @staticmethod
    def read(native: Path, published: Path) -> PriorWork:
        """Read them from the table of the benchmark's own methods and the published values.

        Raises:
            InputError: a file is missing, unreadable or lacks a column; the message names it.
        """
        return PriorWork(
            read_csv(native, baselines.COLUMNS),
            read_published(published / "hd_baselines.csv", ["name", "dimension", "mean"]),
            read_published(published / "hd_improvement.csv", ["potential", "dimension", "factor"]),
        )

    def cells(self, side: str) -> Cells:
        """Return ours or the quoted ones; `side` is `ours` or `published`.

        Of ours, those that the benchmark has: other rows, of methods published since or of a
        user's, are no work prior to the paper.
        """
        if side == "published":
            return {
                (PRIOR, row["name"], "none", int(row["dimension"])): Result(row["mean"], 0.0, 2.0)
                for row in self.quoted.to_dict("records")
            }
        found: Cells = {}
        prior = self.native[self.native["name"].fillna("") != ""]
        for row in prior.to_dict("records"):
            seeds, std = float(row["seeds"]), float(row["last_std"])
            if seeds >= 2:
                std = float(equivalence.sample_std(std, seeds))
            # No claim about solvers is to count them, whatever they are made of.
            key = (PRIOR, f"{row['method']}, {row['solver']}", "none", int(row["dimension"]))
            found[key] = Result(float(row["last_mean"]), std, seeds)
        return found

    def words(self, ours: Cells, paper: Cells) -> str:
        """Return the factors, and where the printed ones do not follow from the paper's entries."""
        printed = self.printed[self.printed["potential"] == "mlp"].set_index("dimension")["factor"]
        wrong = {
            n: f"n = {n} (printed {printed[n]:g}, by its entries {value:.1f})"
            for n, value in _factors(paper).items()
            if n in printed.index and f"{value:.1f}" != f"{printed[n]:.1f}"
        }
        listed = ", ".join(f"{value:.1f} (n = {n})" for n, value in _factors(ours).items())
        said = f" Factors here, last against last: {listed}." if listed else ""
        if not wrong:
            return said
        without = _left_out(paper, {n: float(printed[n]) for n in wrong})
        names = " or ".join(f"[{name}]" for name in without)
        return (
            f"{said} The paper's printed factors do not follow from its own entries at "
            f"{', '.join(wrong.values())}{f'; they leave out {names}' if names else ''}."
        )


def _factors(cells: Cells) -> dict[int, float]:
    """Return for each n the best prior work over the best MLP entry, where both are numbers."""
    return {
        n: prior.mean / mlp.mean
        for n, (prior, mlp) in _both(cells).items()
        if math.isfinite(prior.mean) and 0 < mlp.mean < math.inf
    }


def _left_out(paper: Cells, printed: Mapping[int, float]) -> list[str]:
    """Return the prior methods without which the paper's entries give all the printed factors."""
    found = []
    for name in dict.fromkeys(method for potential, method, *_ in paper if potential == PRIOR):
        rest = {key: result for key, result in paper.items() if key[:2] != (PRIOR, name)}
        factors = _factors(rest)
        if all(n in factors and f"{factors[n]:.1f}" == f"{f:.1f}" for n, f in printed.items()):
            found.append(name)
    return found


@dataclass(frozen=True)
class Claim:
    """A claim in short, the paper's sentence and where it stands, and the check.

    Attributes:
        on_images: where to look and what is compared in the table of CelebA64, in words; None for
            a claim about the tables in high dimensions alone. No claim compares with the quoted
            baselines of CelebA64, whose values are of the other direction.
    """

    name: str
    sentence: str
    source: str
    check: Callable[[Cells], list[Comparison]]
    on_images: tuple[str, str] | None = None


CLAIMS = (
    Claim(
        "fine-tuning helps",
        "I show that combining amortized approximations to the conjugate with a solver for "
        "fine-tuning significantly improves the quality of transport maps learned for the "
        "Wasserstein-2 benchmark by Korotin et al. (2021a)",
        "paper, abstract",
        fine_tuning_helps,
        (
            "paper, abstract; here on CelebA64",
            "For each pair: the best method with a solver against the best without.",
        ),
    ),
    Claim(
        "the amortization loss matters less with fine-tuning",
        "My key insight is that the approximate, i.e. amortized, conjugation methods can be "
        "combined with a fine-tuning procedure using the approximate solution as a starting point.",
        "paper, section 1; compare the rows Cycle and Objective of tables 2 and 3",
        loss_matters_less,
        (
            "paper, section 1; compare the rows Cycle and Objective of the CelebA64 table",
            "For each pair and solver: |cycle - objective| without a solver, minus that with it.",
        ),
    ),
    Claim(
        "the MLP beats the ICNN",
        "Sect. 5 shows that amortizing and fine-tuning the conjugate results in state-of-the-art "
        "performance in all of the tasks proposed in the Wasserstein-2 benchmark by Korotin et al. "
        "(2021a).",
        "paper, section 1; the state of the art is that of table 3 (MLP), compare table 2 (ICNN)",
        mlp_beats_icnn,
    ),
    Claim(
        "the objective loss without a solver diverges from n = 32",
        "[Solvers that approximate the conjugate] are also hard to optimize: they either diverge "
        "from the start or diverge after converging to nearly-optimal saddle point.",
        "paper, section 1, quoting Korotin et al.; table 2, row Objective, None: >100 from n = 32",
        objective_diverges,
    ),
)


IMPROVES = Claim(
    "it improves on prior work",
    "Improvement factor over prior work",
    "paper, table 3, last row",
    improves_on_prior_work,
)
"""Which is about the benchmark's own methods."""


def count(comparisons: Sequence[Comparison], alpha: float) -> tuple[int, int, int]:
    """Count supported, contradicted and undecided comparisons at a family-wise alpha."""
    if not comparisons:
        return 0, 0, 0
    supported = equivalence.holm([c.above for c in comparisons]) <= alpha
    contradicted = equivalence.holm([c.below for c in comparisons]) <= alpha
    numbers = int(np.sum(supported)), int(np.sum(contradicted))
    return *numbers, len(comparisons) - sum(numbers)


def word(supported: int, contradicted: int, undecided: int) -> str:
    """Return the word for a claim, as in the module's list."""
    total = supported + contradicted + undecided
    if not total:
        return MISSING
    if contradicted > supported:
        return FAILS
    return HOLDS if not contradicted and 2 * supported >= total else MIXED


def cells_of(judged: pd.DataFrame, side: str) -> Cells:
    """Return ours or the published results of a verdict's rows; `side` is `ours` or `published`."""
    cells: Cells = {}
    for row in judged.to_dict("records"):
        seeds = row[f"{side}_seeds"]
        if pd.isna(seeds):
            continue
        column = row.get("pair", int(row["dimension"]))
        key = (row["potential"], row["amortization"], row["solver"], column)
        mean, std = float(row[f"{side}_mean"]), float(row[f"{side}_std"])
        if row[f"{side}_diverged"]:
            mean, std = math.inf, math.nan
        elif side == "published":
            std = max(std, HALF_UNIT)
        if seeds >= 2 and math.isfinite(std):
            std = float(equivalence.sample_std(std, seeds))
        cells[key] = Result(mean, std, float(seeds))
    return cells


def judge(
    judged: pd.DataFrame, settings: VerdictSettings, prior: PriorWork | None = None
) -> pd.DataFrame:
    """Return a row for each claim.

    Args:
        judged: cells, as `verdict.judge` returns them; those of CelebA64 have a column `pair`.
        settings: what the config says.
        prior: the benchmark's own methods, which a claim is about; None leaves that out.
    """
    reason = _reason(judged, settings)
    images = "pair" in judged.columns
    sides = {
        side: cells_of(judged, side) | (prior.cells(side) if prior else {})
        for side in ("ours", "published")
    }
    rows: list[dict[str, Any]] = []
    for claim in (*CLAIMS, *([IMPROVES] if prior else [])):
        source, check = claim.source, (claim.check.__doc__ or "").splitlines()[0]
        if images:
            if claim.on_images is None:
                continue
            source, check = claim.on_images
        ours, paper = (count(claim.check(cells), settings.alpha) for cells in sides.values())
        if prior and claim is IMPROVES:
            check += prior.words(sides["ours"], sides["published"])
        found = word(*ours)
        doubted = reason if found != MISSING else "the preset lacks cells to compare"
        rows.append(
            {
                "claim": claim.name,
                "sentence": claim.sentence,
                "source": source,
                "check": check,
                "verdict": INCONCLUSIVE if reason and found != MISSING else found,
                "reason": doubted,
                **dict(zip(("supported", "contradicted", "undecided"), ours, strict=True)),
                "published_verdict": word(*paper),
                "published_supported": paper[0],
                "published_contradicted": paper[1],
                "published_undecided": paper[2],
                "preset": settings.preset,
                "reduced": settings.reduced,
            }
        )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _reason(judged: pd.DataFrame, settings: VerdictSettings) -> str:
    """Say why no claim can be judged; empty where it can."""
    present = judged[judged["verdict"] != MISSING]
    if settings.reduced:
        return f"reduced budget: preset {settings.preset}"
    if (present["measures_source"] == "generated").any():
        return "measures generated here, not the published ones"
    if (present["ours_seeds"] < settings.min_seeds).any():
        return f"too few seeds, needed {settings.min_seeds}"
    return ""
