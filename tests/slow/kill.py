"""Kill a real training job again and again; does it end with the same bits as one left alone?

    python -m tests.slow.kill --kills 20

Prepares the pair of an n = 2 cell, trains the cell by `python -m w2dual train` on the CPU without
a stop, then trains it again and sends SIGKILL at random moments (`--seed`), running the same
command after each, until that many jobs were killed and the last one finished. Should the cell
finish before, it is trained anew. Parameters, history (but its seconds) and metrics (but times and
provenance) must have the same bits as those of the job left alone, and nothing else may be left
behind. Exit code 0 where that holds, else 1 with what differs.

Takes the published weights where W2BENCHMARK_MIRROR says they are, else a pair trained anew.
"""

from __future__ import annotations

import argparse
import csv
import json
import logging
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from w2dual.config import grid as cells
from w2dual.config import reader
from w2dual.records import load_arrays, read_json, write_json

ROOT = Path(__file__).parents[2]
OUTPUTS = {"metrics": "metrics.json", "history": "history.csv", "params": "params.safetensors"}

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """One training command, in a folder of its own."""

    cell: Path
    measures: Path
    folder: Path
    every_s: float

    @property
    def checkpoints(self) -> Path:
        """Its checkpoints."""
        return self.folder / "checkpoints"

    @property
    def log(self) -> Path:
        """What all its attempts have said."""
        return self.folder / "train.log"

    def start(self) -> subprocess.Popen[bytes]:
        """Start an attempt, and leave it alone."""
        command = [sys.executable, "-m", "w2dual", "train", "--threads", "1"]
        command += ["--cell", str(self.cell), "--measures", str(self.measures)]
        command += ["--preset", '{"name": "kill", "label": "a test", "reduced": true}']
        command += ["--checkpoints", str(self.checkpoints)]
        command += ["--checkpoint-every-s", str(self.every_s)]
        for option, name in OUTPUTS.items():
            command += [f"--{option}", str(self.folder / "out" / name)]
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as output:
            return subprocess.Popen(
                command, env=environment(), stdout=output, stderr=subprocess.STDOUT
            )

    def said(self) -> str:
        """Return the log's text."""
        return self.log.read_text() if self.log.exists() else ""

    def resumed(self) -> list[int]:
        """Return the steps that attempts resumed from."""
        return [int(step) for step in re.findall(r"resumes from \S+, step (\d+)", self.said())]

    def last_step(self) -> int:
        """Return the step of the last progress line."""
        return max(map(int, re.findall(r"  step (\d+)/", self.said())), default=0)


def environment() -> dict[str, str]:
    """Return what a job runs in: this checkout, one thread, the CPU."""
    mine = {"PYTHONPATH": str(ROOT / "src"), "JAX_PLATFORMS": "cpu"}
    # What tests ask of JAX beyond a job's own settings would be overridden, and the log say so.
    shell = {key: value for key, value in os.environ.items() if key != "JAX_NUMPY_RANK_PROMOTION"}
    return shell | mine | {"NPROC": "1", "PJRT_NPROC": "1"}


def differences(one: Path, other: Path) -> list[str]:
    """Say what differs between the outputs of two jobs, times and provenance aside.

    Args:
        one: folder with metrics.json, history.csv and params.safetensors.
        other: another.
    """
    found = []
    for folder in (one, other):
        names = sorted(path.name for path in folder.iterdir())
        if names != sorted(OUTPUTS.values()):
            return [f"{folder}: holds {names}"]
    a, b = (load_arrays(folder / OUTPUTS["params"]) for folder in (one, other))
    if a[1] != b[1] or a[0].keys() != b[0].keys():
        found.append("params: names or metadata differ")
    else:
        found += [f"params: {k} differs" for k in a[0] if a[0][k].tobytes() != b[0][k].tobytes()]
    rows = [_history(folder / OUTPUTS["history"]) for folder in (one, other)]
    if rows[0] != rows[1]:
        found.append(f"history: differs ({len(rows[0])} and {len(rows[1])} rows)")
    records = [_untimed(read_json(folder / OUTPUTS["metrics"])) for folder in (one, other)]
    found += [f"metrics: {k} differs" for k in records[0] if records[0][k] != records[1].get(k)]
    return found


def _history(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return [
            {k: v for k, v in row.items() if k != "seconds_per_step"}
            for row in csv.DictReader(stream)
        ]


def _untimed(record: dict[str, Any]) -> dict[str, Any]:
    kept = {k: v for k, v in record.items() if k not in ("provenance", "timing")}
    pretraining = ("pretraining_steps", "pretraining_loss_potential", "pretraining_loss_model")
    return kept | {name: record["timing"].get(name) for name in pretraining}


def prepare(folder: Path, name: str, iterations: int) -> tuple[Path, Path]:
    """Write the cell's record and its pair of measures; return both paths."""
    settings = reader.load([ROOT / "config.yaml", ROOT / "presets" / "smoke.yaml"])
    for section in ("hd", "synthetic", "celeba64"):
        settings[section]["training"]["iterations"] = iterations
    cell = next(cell for cell in cells.grid(settings) if cell.name == name)
    write_json(folder / "cell.json", cell.to_json())
    measures = json.dumps(reader.pairs(settings)[cell.pair])
    command = [sys.executable, "-m", "w2dual", "prepare", "--pair", cell.pair]
    command += ["--settings", measures, "--out", str(folder / "pair.safetensors")]
    subprocess.run(command, env=environment(), check=True)
    return folder / "cell.json", folder / "pair.safetensors"


def alone(job: Job) -> float:
    """Run a job without a stop; return its seconds."""
    began = time.monotonic()
    if code := job.start().wait():
        raise RuntimeError(f"the job that was left alone ended with {code}:\n{job.said()}")
    return time.monotonic() - began


def killed(job: Job, kills: int, most_s: float, moments: random.Random) -> int:
    """Run a job until it finishes, killing up to `kills` attempts; return how many were killed."""
    done = 0
    while True:
        process = job.start()
        try:
            code = process.wait(moments.uniform(0, most_s) if done < kills else None)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        if code == 0:
            return done
        if code != -9:
            raise RuntimeError(f"an attempt ended with {code}:\n{job.said()}")
        done += 1
        files = sorted(path.name for path in job.checkpoints.glob("*"))
        log.info("kill %d near step %d; left: %s", done, job.last_step(), " ".join(files))


def main() -> int:
    """Run it; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--cell", default="hd2-icnn-regression-lbfgs")
    parser.add_argument("--iterations", type=int, default=20_000)
    parser.add_argument("--every-s", type=float, default=0.5, help="seconds between checkpoints")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s  %(message)s", datefmt="%H:%M:%S")
    moments = random.Random(args.seed)  # noqa: S311  (no secret)
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        # As a user has it who goes by `make`: an attempt does not compile anew.
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(base / "cache")
        cell, pair = prepare(base, args.cell, args.iterations)
        reference = Job(cell, pair, base / "alone", args.every_s)
        alone(reference)
        # Once more, since only this one finds its programs compiled, as those to be killed do.
        again = replace(reference, folder=base / "again")
        seconds = alone(again)
        failures = differences(reference.folder / "out", again.folder / "out")
        timing = read_json(again.folder / "out" / OUTPUTS["metrics"])["timing"]
        log.info("left alone: %.1f s, of which training %.1f s", seconds, timing["training_s"])
        # An attempt costs its start; beyond that, all of them are to share the training.
        most_s = seconds - timing["training_s"] + 2.5 * timing["training_s"] / args.kills
        total, runs, resumed = 0, 0, []
        while total < args.kills:
            runs += 1
            job = replace(reference, folder=base / f"killed-{runs}")
            total += killed(job, args.kills - total, most_s, moments)
            found = differences(reference.folder / "out", job.folder / "out")
            if job.checkpoints.exists():
                found.append(f"{job.checkpoints}: is still there")
            failures += found
            resumed.append(job.resumed())
            log.info("run %d finished: %s", runs, "; ".join(found) or "the same bits")
        log.info("%d kills in %d runs of %d steps", total, runs, args.iterations)
        log.info("%d attempts went on, from steps %s", sum(map(len, resumed)), resumed)
        log.info("identical: %s", "no" if failures else "yes")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
