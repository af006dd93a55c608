"""The smoke preset on a real cluster, against a local run of it: `make test-slurm-smoke`.

    python -m tests.slurm.smoke --local FOLDER

All of the preset's DAG runs through the profile `slurm/` on the test's cluster, each training job
asking for a GPU. Its tables of accuracy must be those of the local run in FOLDER, a checkout of the
same commit on the same machine, byte for byte; tables of times are left out, since they are times.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from pathlib import Path

from tests.slurm.cluster import Cluster, ClusterError, running
from tests.slurm.run import Checks, Failed, Workflow, check_accounting, environment, say, whole

PRESET = """\
resources: {gpus: 1}
"""
TIMES = ("runtime_hd", "conjugation_time", "lbfgs_line_search", "wolfe_vs_armijo")
"""Tables of what was measured with a clock."""
RUN_S = 2400.0


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
        parser.error(
            f"{local}: no finished run with its evaluation.pdf; `make smoke` in {args.local} makes "
            "it where TeX is installed (scripts/install_tex.sh)"
        )
    with whole(args.keep) as (folder, checks):
        try:
            run(folder, checks, local)
        except (Failed, ClusterError) as error:
            checks.check(f"smoke: {error}", False)
    return 1 if checks.failed else 0


def run(folder: Path, checks: Checks, local: Path) -> None:
    """Run the preset on a cluster, and compare its tables with those of the run in `local`."""
    began = time.monotonic()
    with running(Cluster(folder / "smoke", accounting=True, gpus=2, limit_min=600)) as cluster:
        workflow = Workflow.make(
            folder / "smoke-checkout",
            environment(cluster, quick=False),
            name="smoke",
            preset=PRESET,
            own={},
        )
        try:
            workflow.start("all")
            code = workflow.finish(RUN_S)
        finally:
            workflow.abandon()
        took = time.monotonic() - began
        checks.check("snakemake --profile slurm all", code == 0, f"exit {code}, {took:.0f} s")
        trained = sorted(path.name for path in (local / "results" / "train").iterdir())
        check_accounting(checks, cluster, workflow, trained)
    tables = workflow.outputs / "tables"
    theirs = local / "tables"
    same, other = compared(tables, theirs)
    for name in other:
        say(f"   {name}: {first_difference(tables / name, theirs / name)}")
    checks.check(
        "tables of accuracy are those of the local run, byte for byte",
        bool(same) and not other,
        f"{len(same)} same: {', '.join(same)}; {len(other)} other: {', '.join(other)}",
    )


if __name__ == "__main__":
    sys.exit(main())
