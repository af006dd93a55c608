"""Times w2dual and others in one interleaved run, and writes one JSON record.

Usage: python -m benchmarks.run --dimensions 2,16 --potentials mlp --repetitions 5 --out FILE
"""

from __future__ import annotations

import argparse
import datetime
import importlib.util
import logging
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from benchmarks import counts, machine, timing
from benchmarks.case import CONFIG, Case, find_cell, make
from benchmarks.contestants import CONJUGATIONS, REFERENCES, STEPS, StepContestant
from benchmarks.contestants.all_cores import AllCores
from benchmarks.contestants.conjugation import MAKERS
from benchmarks.contestants.ott_dual import OttDual
from benchmarks.contestants.ours import FusedLoop
from benchmarks.contestants.plain import PlainLoop
from w2dual import provenance
from w2dual.backend import configure
from w2dual.config import reader
from w2dual.conjugate.base import default_lanes
from w2dual.records import InputError, write_json

log = logging.getLogger("benchmarks")

FORMAT = 1
OUT = Path(__file__).parent / "results" / "latest.json"
DIMENSIONS = (2, 16, 64, 256)
POTENTIALS = ("icnn", "mlp")
MOST_DIMENSION = {"ott": 16, "jaxopt_zoom": 16, "jaxopt_backtracking": 64, "optimistix": 64}
"""Beyond this dimension a contestant takes minutes, and is left out unless --all asks for it."""
OTT_WARMUP_S = 15.0
OTT_LONG_WARMUP_S = {(16, "mlp"): 300.0}
"""Of the case that OTT-JAX's step is quoted for: it grows slower over hundreds of steps."""
PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy", "jaxopt", "ott-jax", "optimistix")
NEEDED = {"ott": "ott", "optimistix": "optimistix"}
"""Modules that contestants import, besides those of the package."""
AGREEMENT = 1e-3
"""Between the conjugates of the plain loop and ours, the median: they differ by rounding only."""


def _steps(
    case: Case, names: Sequence[str], block_s: float, threads: int, quick: bool
) -> list[Any]:
    """Build the contestants of a training step: (turn, object) for each."""
    built = []
    for name in names:
        contestant: StepContestant
        if name == "all_cores":
            contestant = AllCores(case.dimension, case.cell.potential, threads, quick)
            first_s = contestant.first_call_s
        elif name == "ours":
            contestant, first_s = FusedLoop(case), case.first_call_s
        else:
            contestant = PlainLoop(case) if name == "plain" else OttDual(case)
            first_s = contestant.block(1)
        if isinstance(contestant, OttDual):
            limit_s = OTT_LONG_WARMUP_S.get((case.dimension, case.cell.potential), OTT_WARMUP_S)
            contestant.warm_up(case.warmup_steps, OTT_WARMUP_S / 4 if quick else limit_s)
        built.append((timing.prepare(name, contestant.block, block_s, first_s), contestant))
    return built


def time_steps(
    case: Case,
    names: Sequence[str],
    repetitions: int,
    block_s: float,
    threads: int,
    quick: bool,
) -> dict[str, Any]:
    """Time training steps; a record for each contestant."""
    built = _steps(case, names, block_s, threads, quick)
    turns = [turn for turn, _ in built]
    timing.interleave(turns, repetitions)
    reference = timing.reference(turns)
    return {
        turn.name: timing.summary(turn, reference) | contestant.facts()
        for turn, contestant in built
    }


def time_conjugations(
    case: Case, names: Sequence[str], repetitions: int, block_s: float
) -> dict[str, Any]:
    """Time conjugations of one batch; a record for each contestant, with how good its result is.

    Raises:
        InputError: the plain loop's conjugates are not ours.
    """
    y, start = case.points()
    arguments = (case.params.potential, y, start)
    turns, quality, found = [], {}, {}
    for name in names:
        solve = MAKERS[name](case).solve
        started = time.perf_counter()
        found[name], iterations = jax.block_until_ready(solve(*arguments))
        first_s = time.perf_counter() - started
        norms = case.gradient_norms(found[name], y)
        quality[name] = {
            "gradient_norm_median": float(np.median(norms)),
            "gradient_norm_max": float(norms.max()),
            "converged_percent": 100 * float(np.mean(norms < tolerance(case))),
            "iterations_mean": float(np.mean(iterations)),
            "iterations_max": int(np.max(iterations)),
        }
        turns.append(timing.prepare(name, timing.calls(solve, arguments), block_s, first_s))
    if {"ours", "plain"} <= found.keys():
        check_agreement(case, y, found["ours"], found["plain"])
    timing.interleave(turns, repetitions)
    reference = timing.reference(turns)
    return {turn.name: timing.summary(turn, reference) | quality[turn.name] for turn in turns}


def tolerance(case: Case) -> float:
    """Return the gradient norm below which a conjugation has converged."""
    return case.cell.settings["solver"]["gradient_tolerance"]


def check_agreement(case: Case, y: Any, ours: Any, plain: Any) -> None:
    """Check that two solvers found the same conjugates, and that these are conjugates.

    Raises:
        InputError: they did not; a comparison of their times would mean nothing.
    """
    apart = float(np.median(np.max(np.abs(np.asarray(ours) - np.asarray(plain)), axis=-1)))
    if not apart < AGREEMENT:
        raise InputError(
            f"n = {case.dimension}, {case.cell.potential}: the plain loop's conjugates are "
            f"{apart:.2g} from ours in the median, expected less than {AGREEMENT:g}"
        )
    for name, x in (("w2dual", ours), ("plain loop", plain)):
        median = float(np.median(case.gradient_norms(x, y)))
        if not median < tolerance(case):
            raise InputError(
                f"n = {case.dimension}, {case.cell.potential}: {name} leaves a gradient norm of "
                f"{median:.2g} in the median, expected less than {tolerance(case):g}"
            )


def count(case: Case, evaluations: float, ms: float) -> dict[str, Any]:
    """Return what one of our steps costs in operations, and the rate it reaches."""
    settings = case.cell.settings
    numbers = [sum(leaf.size for leaf in jax.tree.leaves(params)) for params in case.params]
    record = counts.step(
        settings["potential"]["kind"],
        case.dimension,
        settings["potential"]["hidden"],
        batch=case.batch_size,
        evaluations=evaluations,
        lanes=default_lanes(1, case.batch_size),
        components=len(case.pair.source.centers),
        potential_parameters=numbers[0],
        model_parameters=numbers[1],
    ).to_json()
    return record | {"evaluations_mean": evaluations, "gflops": record["flop"] / ms / 1e6}


def run_case(args: argparse.Namespace, n: int, potential: str) -> dict[str, Any]:
    """Run one dimension and potential."""

    def taking_part(known: Sequence[str]) -> list[str]:
        limit = {} if args.all else MOST_DIMENSION
        return [name for name in known if name in args.contestants and n <= limit.get(name, n)]

    case = make(n, potential, args.quick)
    record: dict[str, Any] = {
        "dimension": n,
        "potential": potential,
        "hidden": case.cell.settings["potential"]["hidden"],
        "pair": case.pair_source,
        "batch_size": case.batch_size,
        "warmup_steps": case.warmup_steps,
    }
    steps = time_steps(
        case, taking_part(STEPS), args.repetitions, args.block_s, args.threads, args.quick
    )
    conjugations = time_conjugations(
        case, taking_part(CONJUGATIONS), args.repetitions, args.block_s / 2
    )
    record |= {"steps": steps, "conjugations": conjugations}
    if (name := next((name for name in REFERENCES if name in steps), None)) is not None:
        ours = steps[name]
        record["counts"] = count(case, ours["evaluations_mean"], ours["ms"]["median"])
    return record


def main(argv: Sequence[str] | None = None) -> int:
    """Run; return the exit code: 0, or 2 where the input cannot be used."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s  %(message)s", datefmt="%H:%M:%S", stream=sys.stderr
    )
    try:
        args = parse(argv)
        _run(args)
    except InputError as error:
        sys.stderr.write(f"benchmarks.run: {error}\n")
        return 2
    return 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line.

    Raises:
        InputError: a value is of no use.
    """
    contestants = tuple(dict.fromkeys((*STEPS, *CONJUGATIONS)))
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.run", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument(
        "--dimensions", default=",".join(map(str, DIMENSIONS)), help="[%(default)s]"
    )
    parser.add_argument("--potentials", default=",".join(POTENTIALS), help="[%(default)s]")
    parser.add_argument("--contestants", default=",".join(contestants), help="[%(default)s]")
    parser.add_argument("--repetitions", type=int, default=5, help="[%(default)s]")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="[%(default)s]")
    parser.add_argument(
        "--block-s",
        type=float,
        default=1.0,
        help="about how long a block of steps is [%(default)s]",
    )
    parser.add_argument("--out", type=Path, default=OUT, help="record to write [%(default)s]")
    parser.add_argument(
        "--all", action="store_true", help="leave out no contestant for being slow; may take hours"
    )
    parser.add_argument(
        "--quick", action="store_true", help="a tenth of the warm-up, to see whether it works"
    )
    args = parser.parse_args(argv)
    args.contestants = args.contestants.split(",")
    if unknown := set(args.contestants) - set(contestants):
        raise InputError(
            f"--contestants: {', '.join(sorted(unknown))} unknown; known are "
            + ", ".join(contestants)
        )
    try:
        args.dimensions = [int(word) for word in args.dimensions.split(",")]
    except ValueError as error:
        raise InputError(
            f"--dimensions {args.dimensions!r}: expected numbers, as in 2,16"
        ) from error
    args.potentials = args.potentials.split(",")
    for name in ("repetitions", "threads", "block_s"):
        if not getattr(args, name) > 0:
            raise InputError(f"--{name.replace('_', '-')} {getattr(args, name)}: expected above 0")
    return args


def _check(args: argparse.Namespace) -> None:
    """Refuse at once what would fail minutes later."""
    settings = reader.load([CONFIG])
    for n in args.dimensions:
        for potential in args.potentials:
            find_cell(settings, n, potential)
    for name in args.contestants:
        if name in NEEDED and importlib.util.find_spec(NEEDED[name]) is None:
            raise InputError(
                f"contestant `{name}`: there is no module {NEEDED[name]}; `make bench` runs in an "
                "environment that has it, or leave the contestant out by --contestants"
            )


def _run(args: argparse.Namespace) -> None:
    _check(args)
    for chatty in ("jax", "absl", "w2dual.training.run"):
        logging.getLogger(chatty).setLevel(logging.ERROR)
    configure(threads=args.threads, devices=1)
    # Each run compiles again, so that the time of a first call says what that costs.
    jax.config.update("jax_enable_compilation_cache", False)
    started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    rates = machine.measure(args.threads)
    log.info(
        "float32 products: %.0f GFLOP/s on one thread, %.0f on %d",
        max(rates["one_thread_gflops"].values()),
        max(rates["all_threads_gflops"].values()),
        args.threads,
    )
    cases = []
    for n in args.dimensions:
        for potential in args.potentials:
            cases.append(run_case(args, n, potential))
            jax.clear_caches()
    rates = machine.best(rates, machine.measure(args.threads))
    peak = machine.peak(rates)
    for record in cases:
        if "counts" in record:
            record["counts"]["fraction_of_peak"] = record["counts"]["gflops"] / peak
    ended = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    origin = provenance.gather(started, ended)
    origin.pop("host", None)
    origin |= {"packages": {name: provenance._version(name) for name in PACKAGES}}
    write_json(
        args.out,
        {
            "format": FORMAT,
            "quick": args.quick,
            "repetitions": args.repetitions,
            "threads": args.threads,
            "cores": os.cpu_count(),
            "provenance": origin,
            "machine": rates,
            "cases": cases,
        },
    )
    log.info("%s written", args.out)


if __name__ == "__main__":
    sys.exit(main())
