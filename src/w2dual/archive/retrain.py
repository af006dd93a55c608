"""Train one cell of an unpacked archive again, and compare its numbers."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np

from w2dual.archive import isolation
from w2dual.archive import rebuild as archived
from w2dual.archive.steps import Runner
from w2dual.config.cells import Cell
from w2dual.records import InputError, read_json
from w2dual.results import equivalence

ALPHA = 0.01
"""Of Welch's test that both trainings have one mean, where their numbers are not the same."""
FLAGS = frozenset(
    {"xla_backend_optimization_level", "xla_allow_excess_precision"}
    | {"xla_force_host_platform_device_count", "xla_llvm_disable_expensive_passes"}
    | {"xla_cpu_enable_fast_math", "xla_cpu_enable_fast_min_max", "xla_cpu_multi_thread_eigen"}
    | {f"xla_cpu_fast_math_honor_{what}" for what in ("nans", "infs", "division", "functions")}
    | {"xla_cpu_max_isa", "xla_cpu_prefer_vector_width", "xla_cpu_use_thunk_runtime"}
    | {"xla_cpu_use_fusion_emitters", "xla_cpu_parallel_codegen_split_count"}
    | {"xla_cpu_use_onednn", "xla_cpu_copy_insertion_use_region_analysis"}
    | {"xla_gpu_autotune_level", "xla_gpu_deterministic_ops", "xla_gpu_enable_fast_min_max"}
    | {"xla_gpu_exclude_nondeterministic_ops", "xla_gpu_enable_triton_gemm"}
    | {"xla_gpu_enable_cublaslt", "xla_gpu_enable_command_buffer", "xla_gpu_ftz"}
    | {"xla_gpu_enable_latency_hiding_scheduler"}
)
"""Of XLA, what an archive may set: they move numbers or speed, and name no file or program."""


def compare(old: dict[str, Any], new: dict[str, Any]) -> tuple[str, bool]:
    """Return a table of both trainings, seed by seed, and whether they agree.

    They agree where the numbers are the same; else, as on another kind of device, where the same
    seeds diverged and Welch's test at `ALPHA` does not tell the means apart.
    """
    column = old["headline"]["column"]
    sides = [
        {entry["seed"]: (entry["status"], entry[column]) for entry in record["seeds"]}
        for record in (old, new)
    ]
    lines = [f"{'seed':>6}  {'archived':>12}  {'trained again':>12}   {column}"]
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


def checked_flags(flags: Any) -> str:
    """Return an archive's flags of XLA, once each is known to be harmless or is set here already.

    Others can name files that XLA writes, and folders whose programs it runs.

    Raises:
        InputError: one is neither.
    """
    if not isinstance(flags, str):
        raise InputError(f"provenance.xla_flags is {flags!r}, expected text")
    own = os.environ.get("XLA_FLAGS", "").split()
    for flag in flags.split():
        named = re.fullmatch(r"--(\w+)(?:=(?:[A-Z]\w*|true|false|[0-9.]+))?", flag)
        if flag not in own and (named is None or named[1] not in FLAGS):
            raise InputError(
                f"the archive was trained with XLA_FLAGS={flags!r}; {flag[:80]} is none of those "
                "that an archive may set. If you trust it, set it yourself: export XLA_FLAGS=..."
            )
    return flags


def retrain(
    name: str, root: Path, into: Path, resume: bool, threads: int | None, run: Runner
) -> bool:
    """Train a cell again, print how its numbers compare, and return whether they agree.

    Args:
        name: of the cell.
        root: the unpacked archive.
        into: folder that gets a folder of the cell's name.
        resume: whether a training that was stopped there goes on.
        threads: CPU threads; None for as many as archived.
        run: runs a command of `w2dual`.

    Raises:
        InputError: there is no such cell, its measures were left out of the archive, or it was
            trained with flags of XLA that an archive may not set.
    """
    folder, _ = archived.recorded(root)
    results = root / folder / "results"
    metrics = results / "train" / name / "metrics.json"
    if not metrics.is_file():
        cells = sorted(path.name for path in (results / "train").glob("*"))
        raise InputError(f"{name}: no cell of the archive; it has {', '.join(cells)}")
    old = read_json(metrics)
    try:
        cell, flags = Cell.from_json(old["cell"]), old["provenance"].get("xla_flags")
        cores, preset = threads or old["provenance"].get("devices"), old["preset"]
    except InputError as error:
        raise InputError(f"{metrics}: {error}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{metrics}: is not the metrics of a cell: {error!r}") from error
    pair = results / "measures" / f"{cell.pair}.safetensors"
    if Path(cell.pair).name != cell.pair:
        raise InputError(f"{metrics}: the pair {cell.pair!r} is not the name of a pair")
    if not pair.is_file():
        raise InputError(f"{pair}: was too large for the archive; make it by `w2dual prepare`")
    out = into / name
    # What an archive put here would be gone on from, and found to agree.
    if out.exists() and any(out.iterdir()) and not resume:
        raise InputError(
            f"{out}: is not empty; name a new folder by --into, or add --resume if it is a "
            "training of yours that was stopped"
        )
    command = ["train", "--cell", json.dumps(cell.to_json()), "--preset", json.dumps(preset)]
    command += ["--measures", str(pair), "--checkpoints", str(out / "checkpoints")]
    for option, name in (
        ("metrics", "metrics.json"),
        ("history", "history.csv"),
        ("params", "params.safetensors"),
    ):
        command += [f"--{option}", str(out / name)]
    # The cores share a batch, so their number decides the order of sums, and with it the last bits.
    if cores is not None:
        if not isinstance(cores, int) or cores < 1:
            raise InputError(f"{metrics}: provenance.devices is {cores!r}, expected a number")
        command += ["--threads", str(cores)]
    # What XLA was asked for decides them too; it reads the variable when the backend starts.
    if flags is not None:
        os.environ["XLA_FLAGS"] = checked_flags(flags)
    with isolation.kept_from(root):
        run(command)
    text, agree = compare(old, read_json(out / "metrics.json"))
    sys.stdout.write(text)
    return agree
