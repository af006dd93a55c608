"""Check an archive, and print a report to paste into a review.

Hashes and crate; whether the cells are those of the config; tables made again from the raw metrics
and compared byte for byte; a sample of cells evaluated again from their parameters. Needs no GPU,
no TeX and no network. What it cannot find: an archive forged as a whole, with networks trained to
give the forged numbers.

What is run is the code that this module belongs to, never the archive's: of the recorded commands
those of jobs that render, and kinds by name out of this package.
"""

from __future__ import annotations

import csv
import random
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from w2dual import closure
from w2dual.archive import commands, crate, isolation, layout
from w2dual.archive import steps as rendering
from w2dual.archive.container import MANIFEST, Archive, read_manifest, sha256
from w2dual.config import places
from w2dual.config import reader as config
from w2dual.config.cells import Cell
from w2dual.config.grid import benchmark_grid, grid
from w2dual.records import InputError, file_sha256, load_arrays, no_file, parse_json, write_text

SAMPLE = 4
CONFIDENCE = 0.9999
PACKAGE = "src/w2dual"
MALFORMED = (
    *(ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError),
    csv.Error,
)
"""What records and tables of another make than ours raise where they are read."""


@dataclass
class Check:
    """One part of the verification: what is wrong, and what a reader should know."""

    name: str
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0


@dataclass(frozen=True)
class Opened:
    """An archive whose directory is safe, unpacked to our own folder.

    Attributes:
        archive: the zip.
        root: where it is unpacked.
        folder: of the run's outputs, relative to the root.
        config: the resolved config.
        steps: the recorded commands.
    """

    archive: Archive
    root: Path
    folder: str
    config: dict[str, Any]
    steps: tuple[rendering.Step, ...]

    def inside(self, name: str) -> str:
        """Return the path in the archive of a path among the outputs."""
        return name if self.folder == "." else f"{self.folder}/{name}"

    def json(self, name: str) -> Any:
        """Read a JSON record of the archive.

        Raises:
            InputError: it is missing, damaged or not JSON.
        """
        return parse_json(self.archive.read(name), name, strict=True)


# ---------------------------------------------------------------- checks


def check_hashes(archive: Archive, check: Check) -> None:
    """Every file has the SHA-256 of the manifest, none is missing, and there is no other."""
    listed = read_manifest(archive.read(MANIFEST).decode("utf-8", "replace"))
    present = set(archive.names) - {MANIFEST}
    check.problems += [f"{name}: is missing" for name in sorted(listed.keys() - present)]
    check.problems += [
        f"{name}: is not in {MANIFEST}: it was added" for name in sorted(present - listed.keys())
    ]
    for name in sorted(present & listed.keys()):
        try:
            if sha256(archive.read(name)) != listed[name]:
                check.problems.append(f"{name}: was changed: its SHA-256 is not the manifest's")
        except InputError as error:
            check.problems.append(str(error))
    check.notes.append(f"{len(present)} files")


def check_crate(archive: Archive, check: Check) -> None:
    """The metadata is a Workflow Run RO-Crate that lists every file with its hash."""
    text = archive.read(crate.METADATA).decode("utf-8", "replace")
    hashes = {
        name: sha256(archive.read(name))
        for name in archive.names
        if name not in (MANIFEST, crate.METADATA)
    }
    check.problems += crate.problems(text, hashes, [MANIFEST])


def check_cells(opened: Opened, check: Check) -> None:
    """Cells, metrics, parameters and measures belong together, and are those of the config."""
    cells = {cell.name: cell for cell in grid(opened.config)}
    names = set(opened.archive.names)
    for cell in cells.values():
        paths = {
            kind: opened.inside(f"results/train/{cell.name}/{kind}")
            for kind in ("metrics.json", "history.csv", "params.safetensors")
        }
        lacking = [path for path in paths.values() if path not in names]
        check.problems += [f"{path}: is missing" for path in lacking]
        if not lacking:
            try:
                check.problems += _cell_problems(opened, cell, paths)
            except (InputError, *MALFORMED) as error:
                check.problems.append(f"{paths['metrics.json']}: cannot be used: {error!r}")
    prefix = opened.inside("results/train/")
    foreign = {name.removeprefix(prefix).split("/")[0] for name in names if name.startswith(prefix)}
    check.problems += [
        f"{prefix}{name}: is not a cell of the config" for name in sorted(foreign - cells.keys())
    ]
    check.notes.append(f"{len(cells)} cells")


def _cell_problems(opened: Opened, cell: Cell, paths: Mapping[str, str]) -> list[str]:
    record = opened.json(paths["metrics.json"])
    found = []
    try:
        recorded = Cell.from_json(record["cell"])
    except InputError as error:
        return [f"{paths['metrics.json']}: {error}"]
    if recorded.hash != cell.hash:
        found.append(
            f"{paths['metrics.json']}: was trained with other settings ({recorded.hash}) than "
            f"{layout.CONFIG} gives ({cell.hash})"
        )
    preset = opened.config["preset"]
    if any(record["preset"][key] != preset[key] for key in ("name", "reduced")):
        # Its words may be other ones: they are no reason to train again.
        found.append(f"{paths['metrics.json']}: its preset is not that of {layout.CONFIG}")
    arrays, metadata = load_arrays(opened.root / paths["params.safetensors"])
    if metadata["cell"]["hash"] != cell.hash:
        found.append(f"{paths['params.safetensors']}: are parameters of another cell")
    status = {entry["seed"]: entry["status"] for entry in record["seeds"]}
    (seed,) = metadata["seeds"]
    if seed not in status:
        found.append(f"{paths['params.safetensors']}: is of seed {seed}, which the metrics lack")
    elif status[seed] == "finished":
        broken = [name for name, array in arrays.items() if not np.isfinite(array).all()]
        found += [f"{paths['params.safetensors']}: {name} is not finite" for name in broken]
    pair = opened.inside(f"results/measures/{cell.pair}.safetensors")
    if pair in opened.archive.names:
        if file_sha256(opened.root / pair) != record["measures"]["sha256"]:
            found.append(f"{pair}: is not what {cell.name} was trained on")
    return found


def check_tables(opened: Opened, check: Check, job: rendering.Runner) -> None:
    """Aggregates and tables follow from the raw metrics: run again, they have the same bytes.

    `job` runs a recorded command.
    """
    names = opened.archive.names
    found = commands.problems(opened.steps, opened.folder, opened.config, names)
    check.problems += [f"{layout.RENDER}: {line}" for line in found]
    if check.problems:
        return
    compared = [step for step in rendering.in_order(opened.steps) if step.compared]
    made = {name for step in compared for name in step.outputs}
    for step in compared:
        for name in step.outputs:
            (opened.root / opened.folder / name).unlink(missing_ok=True)
    for step in compared:
        try:
            rendering.run(step, opened.root, opened.folder, job)
        except (InputError, OSError, *MALFORMED) as error:
            said = str(error).replace(str(opened.root), "")
            check.problems.append(f"{', '.join(step.outputs)}: cannot be made again: {said}")
            break
        for name in step.outputs:
            check.problems += _differences(opened, name)
    others = [
        name
        for name in opened.archive.names
        if name.startswith((opened.inside("tables/"), opened.inside("results/metrics/")))
        and name.endswith((".tex", ".csv", ".html"))
        and not name.startswith("tables/published/")
    ]
    by_other_means = {name for step in opened.steps if not step.compared for name in step.outputs}
    for path in others:
        name = path.removeprefix("" if opened.folder == "." else f"{opened.folder}/")
        if name in by_other_means:
            check.notes.append(f"{path} is made from measures, not from metrics: hash alone")
        elif name not in made:
            check.problems.append(f"{path}: no recorded command makes it")
    check.notes.append(f"{len(made)} files made again")


def _differences(opened: Opened, name: str) -> list[str]:
    path = opened.inside(name)
    if path not in opened.archive.names:
        return [f"{path}: is missing"]
    said = opened.archive.read(path)
    found = (opened.root / opened.folder / name).read_bytes()
    if said == found:
        return []
    lines = zip(said.splitlines(), found.splitlines(), strict=False)
    number = next((n for n, (a, b) in enumerate(lines, start=1) if a != b), "of the end")
    return [f"{path}: does not follow from the metrics: line {number} comes out otherwise"]


def check_sample(opened: Opened, check: Check, number: int, seed: int) -> None:
    """Some cells' stored parameters give the L2-UVP of the metrics, also on fresh samples."""
    from w2dual.backend import configure
    from w2dual.evaluation import reevaluation

    configure()
    names = set(opened.archive.names)
    benchmark = {cell.name for cell in benchmark_grid(opened.config)}
    candidates = []
    for cell in grid(opened.config):
        pair = opened.inside(f"results/measures/{cell.pair}.safetensors")
        folder = opened.inside(f"results/train/{cell.name}")
        if pair not in names or f"{folder}/metrics.json" not in names:
            continue
        record = opened.json(f"{folder}/metrics.json")
        # Of a cell of the benchmark the config says so, whatever its metrics say.
        if (
            cell.name not in benchmark
            and record["headline"]["column"] not in reevaluation.QUANTITIES
        ):
            continue
        if any(entry["status"] == "finished" for entry in record["seeds"]):
            candidates.append((cell, record, f"{folder}/params.safetensors", pair))
    if not candidates:
        check.notes.append("no cell of the benchmark has its measures in the archive")
        return
    chosen = random.Random(seed).sample(candidates, min(number, len(candidates)))  # noqa: S311
    for cell, record, params, pair in chosen:
        try:
            compared = reevaluation.evaluate(
                opened.root / params, opened.root / pair, record, CONFIDENCE, seed
            )
        except (InputError, *MALFORMED) as error:
            said = str(error).replace(f"{opened.root}/", "")
            check.problems.append(f"{params}: cannot be evaluated: {said}")
            continue
        for one in compared:
            line = f"{cell.name}, {one}"
            check.notes.append(line)
            if not one.agrees:
                check.problems.append(f"{params} or its metrics.json: {line}")


def check_source(opened: Opened, check: Check) -> None:
    """Say whether the code that verifies is the archive's own."""
    theirs = {
        name.removeprefix(f"{PACKAGE}/"): opened.archive.read(name)
        for name in opened.archive.names
        if name.startswith(f"{PACKAGE}/") and name.endswith(".py")
    }
    if not theirs:
        check.problems.append(f"{PACKAGE}: is missing")
        return
    other = [
        name
        for name, content in sorted(theirs.items())
        if not (closure.PACKAGE / name).is_file()
        or (closure.PACKAGE / name).read_bytes() != content
    ]
    if other:
        check.notes.append(
            f"the code that verifies is not the archive's: {', '.join(other[:5])}"
            + (f" and {len(other) - 5} more" if len(other) > 5 else "")
            + "; install it from the archive to be sure"
        )
    published = [
        name
        for name in opened.archive.names
        if name.startswith(f"{rendering.PUBLISHED}/") and name.endswith(".csv")
        if (ours := places.own(name)) is None or ours.read_bytes() != opened.archive.read(name)
    ]
    if published:
        check.notes.append(
            f"published values are not those of the code that verifies: {', '.join(published)}; "
            "compare them with the paper, since verdicts follow from them"
        )


# ---------------------------------------------------------------- the whole


def _timed(check: Check, part: Callable[[], None]) -> Check:
    started = time.monotonic()
    try:
        part()
    except InputError as error:
        check.problems.append(str(error))
    except MALFORMED as error:
        check.problems.append(f"something in it is not as this writes it: {error!r}"[:300])
    check.seconds = time.monotonic() - started
    return check


def open_run(archive: Archive, root: Path) -> Opened:
    """Read what the archive says about its run, and unpack it.

    Raises:
        InputError: a record is missing or cannot be used; the message names it.
    """
    archive.unpack(root)
    record = Opened(archive, root, ".", {}, ()).json(layout.RENDER)
    folder, steps = layout.read_commands(record, layout.RENDER)
    resolved = config.load([root / layout.CONFIG])
    if folder != config.output_folder(resolved):
        raise InputError(f"{layout.RENDER}: folder {folder!r} is not that of {layout.CONFIG}")
    return Opened(archive, root, folder, resolved, tuple(steps))


def verify(
    path: Path, job: rendering.Runner, sample: int = SAMPLE, seed: int | None = None
) -> tuple[list[Check], str]:
    """Verify an archive: return the checks made, and the report in Markdown.

    Args:
        path: of the zip.
        job: runs a recorded command.
        sample: number of cells to evaluate again; 0 for none.
        seed: which cells, and of their samples; None takes it from the archive's hash.
    """
    checks: list[Check] = []

    def add(name: str, part: Callable[[Check], None]) -> bool:
        check = Check(name)
        checks.append(_timed(check, lambda: part(check)))
        return not check.problems

    opened: list[Any] = []
    facts = {"file": path.name}
    if not add("safe to unpack", lambda _: opened.append(Archive(path))):
        return checks, report(checks, facts)
    with (
        opened[0] as archive,
        tempfile.TemporaryDirectory(prefix="w2dual-verify-") as folder,
        isolation.kept_from(Path(folder)),
    ):
        digest = file_sha256(path)
        seed = int(digest[:8], 16) % 2**31 if seed is None else seed
        facts |= {"sha256": digest, "size": f"{path.stat().st_size / 1e6:.1f} MB", "seed": seed}
        add("hashes", lambda check: check_hashes(archive, check))
        add("RO-Crate", lambda check: check_crate(archive, check))
        runs: list[Opened] = []
        root = Path(folder) / "archive"
        if add("config and commands", lambda _: runs.append(open_run(archive, root))):
            (run,) = runs
            preset = run.config["preset"]
            facts["preset"] = f"{preset['name']}: {preset['label']}"
            facts["reduced"] = preset["reduced"]
            add("source", lambda check: check_source(run, check))
            sound = add("cells", lambda check: check_cells(run, check))
            add("tables from raw metrics", lambda check: check_tables(run, check, job))
            if sound and sample:
                add(
                    "cells evaluated again",
                    lambda check: check_sample(run, check, sample, int(facts["seed"])),
                )
    return checks, report(checks, facts)


def report(checks: list[Check], facts: Mapping[str, Any]) -> str:
    """Return the report in Markdown: the table of checks, then problems and notes."""
    lines = [f"# Verification of {facts['file']}", ""]
    if "sha256" in facts:
        lines += [f"- SHA-256 `{facts['sha256']}`, {facts['size']}"]
    if "preset" in facts:
        budget = " (reduced budget: not comparable with the paper)" if facts["reduced"] else ""
        lines += [f"- preset {facts['preset']}{budget}", f"- seed of the sample {facts['seed']}"]
    lines += ["", "| check | result | seconds |", "|---|---|---|"]
    for check in checks:
        result = f"{len(check.problems)} problems" if check.problems else "passed"
        lines.append(f"| {check.name} | {result} | {check.seconds:.1f} |")
    for title, part in (("Problems", "problems"), ("Notes", "notes")):
        found = [f"- {check.name}: {line}" for check in checks for line in getattr(check, part)]
        lines += ["", f"## {title}", "", *found] if found else []
    failed = any(check.problems for check in checks)
    lines += ["", "**FAILED**: see the problems above." if failed else "**PASSED**", ""]
    return "\n".join(lines)


def _instead(folder: Path) -> str:
    """Say what to name in place of a folder."""
    if (folder / layout.RENDER).is_file():
        return (
            f"a .zip: what is verified is the archive that was unpacked here; name it, or make the "
            f"tables and figures again by `w2dual rebuild --root {folder}`"
        )
    inside = sorted(folder.glob("*.zip"))
    return f"a .zip, such as {inside[0]}" if inside else "the archive itself, a .zip"


def print_report(
    path: Path, sample: int, seed: int | None, copy: Path | None, job: rendering.Runner
) -> bool:
    """Verify an archive, print the report, and return whether all is well.

    Args:
        path: the archive, a .zip.
        sample: cells to evaluate again.
        seed: of the sample; None for one that follows from the archive's hash.
        copy: file that the report is written to as well; None for none.
        job: runs a recorded command.

    Raises:
        InputError: there is no such archive.
    """
    if path.is_dir():
        raise InputError(f"{path}: is a folder, expected {_instead(path)}")
    if not path.is_file():
        raise InputError(no_file(path))
    checks, text = verify(path, job, sample, seed)
    sys.stdout.write(text)
    if copy is not None:
        write_text(copy, text)
    return not any(check.problems for check in checks)
