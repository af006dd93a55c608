"""The job `retrain`: train one cell of an unpacked archive again, and compare its numbers."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from w2dual import equivalence
from w2dual import rebuild as archived
from w2dual.records import InputError, read_json

log = logging.getLogger(__name__)

ALPHA = 0.01
"""Of Welch's test that both trainings have one mean, where their numbers are not the same."""


def compare(old: dict[str, Any], new: dict[str, Any]) -> tuple[str, bool]:
    """Give a table of both trainings, seed by seed, and whether they agree.

    They agree where the numbers are the same; else, as on another kind of device, where the same
    seeds diverged and Welch's test at `ALPHA` does not tell the means apart.
    """
    column = old["headline"]["column"]
    sides = [
        {entry["seed"]: (entry["status"], entry[column]) for entry in record["seeds"]}
        for record in (old, new)
    ]
    lines = [f"{'seed':>6}  {'archived':>12}  {'trained anew':>12}   {column}"]
    for seed in sides[0]:
        shown = [
            f"{value:12.6g}" if status == "finished" and value is not None else f"{status:>12}"
            for status, value in (side.get(seed, ("missing", None)) for side in sides)
        ]
        lines.append(f"{seed:>6}  {'  '.join(shown)}")
    if sides[0] == sides[1]:
        return "\n".join([*lines, "The same numbers, to the last bit.", ""]), True
    statuses = [{seed: status for seed, (status, _) in side.items()} for side in sides]
    if statuses[0] != statuses[1]:
        return "\n".join([*lines, "Not the same seeds diverged.", ""]), False
    values = [
        np.array([value for status, value in side.values() if status == "finished"], float)
        for side in sides
    ]
    if any(len(part) < 2 for part in values):
        return "\n".join([*lines, "Other numbers, and too few seeds for a test.", ""]), False
    found = equivalence.difference(
        *(f for part in values for f in (part.mean(), part.std(ddof=1), len(part)))
    )
    p = float(equivalence.p_different(found))
    word = "agree" if p >= ALPHA else "DIFFER"
    lines.append(f"Other numbers; their means {word} (Welch's test, p = {p:.3g}).")
    return "\n".join([*lines, ""]), p >= ALPHA


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the job's arguments."""
    parser.add_argument("cell", help="its name, such as hd2-mlp-regression-lbfgs")
    parser.add_argument("--root", type=Path, default=Path(), help="the unpacked archive [here]")
    parser.add_argument("--into", type=Path, default=Path("retrained"), help="[%(default)s]")
    parser.add_argument("--threads", type=int, help="CPU threads (default: as archived)")


def main(args: argparse.Namespace) -> None:
    """Run the job.

    Raises:
        InputError: there is no such cell, or its measures were left out of the archive.
        SystemExit: the numbers do not agree; the code is 1.
    """
    from w2dual.__main__ import parser, run

    folder, _ = archived.recorded(args.root)
    results = args.root / folder / "results"
    metrics = results / "train" / args.cell / "metrics.json"
    if not metrics.is_file():
        cells = sorted(path.name for path in (results / "train").iterdir())
        raise InputError(f"{args.cell}: no cell of the archive; it has {', '.join(cells)}")
    old = read_json(metrics)
    pair = results / "measures" / f"{old['cell']['pair']}.safetensors"
    if not pair.is_file():
        raise InputError(f"{pair}: was too large for the archive; make it by `w2dual prepare`")
    out = args.into / args.cell
    command = ["train", "--cell", json.dumps(old["cell"]), "--preset", json.dumps(old["preset"])]
    command += ["--measures", str(pair), "--checkpoints", str(out / "checkpoints")]
    for option, name in (
        ("metrics", "metrics.json"),
        ("history", "history.csv"),
        ("params", "params.safetensors"),
    ):
        command += [f"--{option}", str(out / name)]
    # The cores share a batch, so their number decides the order of sums, and with it the last bits.
    threads = args.threads or old["provenance"].get("devices")
    if threads is not None:
        command += ["--threads", str(threads)]
    # What XLA was asked for decides them too; it reads the variable when the backend starts.
    if (flags := old["provenance"].get("xla_flags")) is not None:
        os.environ["XLA_FLAGS"] = flags
    run(parser("train").parse_args(command))
    text, agree = compare(old, read_json(out / "metrics.json"))
    sys.stdout.write(text)
    if not agree:
        raise SystemExit(1)
