"""The smoke preset on a real cluster, against a local run of it: `make test-slurm-smoke`.

    python -m tests.slurm.smoke --local FOLDER

All of the preset's DAG runs through the profile `slurm/` on the test's cluster, each training job
asking for a GPU. Its tables of accuracy must be those of the local run in FOLDER, a checkout of the
same commit on the same machine, byte for byte; tables of times are left out, since they are times.
"""

from __future__ import annotations

import argparse
import csv
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from tests.slurm.cluster import Cluster, ClusterError, running
from tests.slurm.run import Checks, Failed, Workflow, environment, say

PRESET = """\
resources: {gpus: 1}
"""
TIMES = ("runtime_hd", "conjugation_time", "lbfgs_line_search", "wolfe_vs_armijo")
"""Tables of what was measured with a clock."""
RUN_S = 2400.0


class Smoke(Workflow):
    """The checkout with the smoke preset."""

    @property
    def outputs(self) -> Path:
        """Where the preset's files go."""
        return self.root / "runs" / "smoke"

    @staticmethod
    def make(root: Path, environment: dict[str, str]) -> Smoke:
        """Copy the checkout; its profile waits for minutes, not for hours."""
        made = Workflow.make(root, environment, preset=PRESET, own={})
        return Smoke(made.root, made.environment)


def compared(cluster: Path, local: Path) -> tuple[list[str], list[str]]:
    """Name the tables of accuracy that are the same byte for byte, and those that are not."""
    names = sorted(p.name for p in local.glob("*.*") if p.stem not in TIMES)
    same = [
        name
        for name in names
        if (cluster / name).is_file()
        and (cluster / name).read_bytes() == (local / name).read_bytes()
    ]
    return same, [name for name in names if name not in same]


def first_difference(cluster: Path, local: Path) -> str:
    """Say where two tables part."""
    if not cluster.is_file():
        return "is missing"
    ours, theirs = (list(csv.reader(p.read_text().splitlines())) for p in (cluster, local))
    for number, (a, b) in enumerate(zip(ours, theirs, strict=False), 1):
        if a != b:
            return f"line {number}: {a} on the cluster, {b} locally"
    return f"{len(ours)} lines on the cluster, {len(theirs)} locally"


def main() -> int:
    """Run it all; gives 0 where every check has passed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--local", type=Path, required=True, help="checkout with a run of smoke")
    parser.add_argument("--keep", action="store_true", help="leave the folder with all logs")
    args = parser.parse_args()
    local = args.local.resolve() / "runs" / "smoke"
    if not (local / "evaluation.pdf").is_file():
        parser.error(f"{local}: no finished run; `make smoke` in {args.local} makes it")
    folder = Path(tempfile.mkdtemp(prefix="w2s", dir="/tmp"))  # noqa: S108  sockets want it short
    folder.chmod(0o755)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    checks, began = Checks(), time.monotonic()
    cluster = Cluster(folder / "smoke", accounting=True, gpus=2)
    try:
        with running(cluster):
            workflow = Smoke.make(folder / "smoke-checkout", environment(cluster, quick=False))
            try:
                workflow.start("all")
                code = workflow.finish(RUN_S)
            finally:
                workflow.abandon()
            took = time.monotonic() - began
            checks.check("snakemake --profile slurm all", code == 0, f"exit {code}, {took:.0f} s")
            fields = "--format=JobIDRaw,AllocTRES,Comment,State"
            lines = cluster.run("sacct", "-X", "-n", "-P", "-S", "now-2hours", fields).splitlines()
            training = [line for line in lines if "train" in line.split("|")[2]]
            with_gpu = [line for line in training if "gres/gpu=1" in line]
            checks.check(
                "each training job got its GPU in the accounting",
                bool(training) and with_gpu == training,
                f"{len(with_gpu)} of {len(training)} training jobs; {len(lines)} jobs in all",
            )
        tables = workflow.outputs / "tables"
        same, other = compared(tables, local / "tables")
        for name in other:
            say(f"   {name}: {first_difference(tables / name, local / 'tables' / name)}")
        checks.check(
            "tables of accuracy are those of the local run, byte for byte",
            bool(same) and not other,
            f"{len(same)} same: {', '.join(same)}; {len(other)} other: {', '.join(other)}",
        )
    except (Failed, ClusterError) as error:
        checks.check(f"smoke: {error}", False)
    if args.keep or checks.failed:
        say(f"\nlogs: {folder}")
    else:
        shutil.rmtree(folder)
    say(f"\n{checks.passed} passed, {checks.failed} failed, in {time.monotonic() - began:.0f} s")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
