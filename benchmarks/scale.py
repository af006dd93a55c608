"""How Snakemake itself bears the paper's DAG and one of ten times as many cells: docs/scale.md.

    python -m benchmarks.scale [--times 1 10] [--strace]

Prints Markdown. Time and peak memory of building the DAG are those of `snakemake --dry-run all`.
With --strace, the file-system calls of one training job by itself, and of Snakemake around it.
"""

from __future__ import annotations

import argparse
import copy
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from w2dual.config.grid import grid
from w2dual.config.reader import load

ROOT = Path(__file__).parents[1]
SNAKEMAKE = (sys.executable, "-m", "snakemake")
CELL = "hd2-mlp-objective-none"
TINY: dict[str, Any] = {
    "preset": {"name": "scale", "label": "one cell, a few steps", "reduced": True},
    "measures": {"benchmark": {"sources": ["mirror", "generated"], "moment_samples": 4096}},
    "hd": {
        "training": {"batch_size": 64, "iterations": 40},
        "pretraining": {"iterations": 20, "min_iterations": 10},
        "evaluation": {"samples": 512, "history_every": 20, "history_samples": 256},
        "logging": {"every": 20},
    },
}


def multiplied(config: dict[str, Any], times: int) -> dict[str, Any]:
    """Return what makes a config have `times` as many cells: as many solvers, alike but by name."""
    more = copy.deepcopy({"solvers": config["solvers"], "hd": {"methods": []}})
    grids = copy.deepcopy(config["synthetic"]["grids"])
    for copy_number in range(times):
        ending = f"_{copy_number}" if copy_number else ""
        for name, settings in config["solvers"].items():
            more["solvers"][name + ending] = settings
        more["hd"]["methods"] += [
            method | {"solver": method["solver"] + ending} for method in config["hd"]["methods"]
        ]
    for part in grids:
        part["methods"] = [
            method | {"solver": method["solver"] + (f"_{i}" if i else "")}
            for i in range(times)
            for method in part["methods"]
        ]
    return more | {"synthetic": {"grids": grids}}


def dag(times: int, folder: Path) -> tuple[int, int, float, float]:
    """Build the DAG of `all`; gives cells, jobs, seconds, and the peak of memory in MB."""
    path = folder / f"times-{times}.yaml"
    preset = {"preset": {"name": f"times{times}", "label": "a DAG to measure", "reduced": True}}
    path.write_text(yaml.safe_dump(multiplied(load([ROOT / "config.yaml"]), times) | preset))
    said = folder / "dry-run.txt"
    began = time.perf_counter()
    with open(said, "wb") as output:
        process = subprocess.Popen(  # noqa: S603
            [*SNAKEMAKE, "--dry-run", "--quiet", "reason", "--configfile", str(path), "--", "all"],
            cwd=ROOT,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - began
    jobs = re.findall(r"^total +(\d+)", said.read_text(errors="replace"), re.MULTILINE)
    if process.returncode or not jobs:
        raise SystemExit(said.read_text(errors="replace")[-2000:])
    shutil.rmtree(ROOT / "runs" / f"times{times}", ignore_errors=True)
    cells = len(grid(load([ROOT / "config.yaml", path])))
    return cells, int(jobs[0]), seconds, usage.ru_maxrss / 1000


def file_calls(command: list[str], folder: Path) -> dict[str, int]:
    """Run a command and its children under strace; gives how often each call on files was made."""
    out = folder / "strace.txt"
    done = subprocess.run(  # noqa: S603
        ["strace", "-f", "--seccomp-bpf", "-c", "-e", "trace=%file", "-o", str(out), *command],  # noqa: S607
        cwd=ROOT,
        env=os.environ | {"JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    rows = re.findall(r"^ *[\d.]+ +[\d.]+ +\d+ +(\d+) +(?:\d+ +)?(\w+)$", out.read_text(), re.M)
    return {name: int(count) for count, name in rows if name != "total"}


def calls(folder: Path) -> list[tuple[str, dict[str, int]]]:
    """Count what a job does by itself, and with Snakemake around it."""
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(TINY))
    configs = ["--configfile", "presets/smoke.yaml", str(path)]
    snakemake = [*SNAKEMAKE, "--cores", "1", *configs, "--"]
    target = f"results/train/{CELL}/metrics.json"
    results = ROOT / "runs" / "scale"
    shutil.rmtree(results, ignore_errors=True)
    subprocess.run(  # noqa: S603
        [*snakemake, target], cwd=ROOT, env=os.environ | {"JAX_PLATFORMS": "cpu"}, check=True,
        capture_output=True,
    )  # fmt: skip
    nothing = file_calls([*snakemake, target], folder)
    (results / target).unlink()
    both = file_calls([*snakemake, target], folder)
    shutil.rmtree(results)
    job = {name: both[name] - nothing.get(name, 0) for name in both}
    return [("Snakemake, with nothing to do", nothing), ("the training job", job)]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--times", type=int, nargs="+", default=[1, 10])
    parser.add_argument("--strace", action="store_true", help="count file-system calls as well")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lines = ["| cells | jobs | time to build the DAG, s | memory, MB |", "|--:|--:|--:|--:|"]
        for times in args.times:
            cells, jobs, seconds, peak_mb = dag(times, folder)
            lines.append(f"| {cells} | {jobs} | {seconds:.1f} | {peak_mb:.0f} |")
        if args.strace:
            lines += [
                "",
                "| | calls on files | of them `open` | `stat` and alike | most frequent |",
            ]
            lines.append("|---|--:|--:|--:|---|")
            for what, found in calls(folder):
                opened = sum(count for call, count in found.items() if "open" in call)
                looked = sum(n for call, n in found.items() if "stat" in call or call == "access")
                top = sorted(found, key=found.__getitem__, reverse=True)[:4]
                words = ", ".join(f"{call} {found[call]}" for call in top)
                lines.append(f"| {what} | {sum(found.values())} | {opened} | {looked} | {words} |")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
