"""Records what SLURM's commands answer the doctor on several clusters, for its unit tests.

    python -m tests.slurm.record [--out FOLDER] [--only NAME ...] [--no-probe]

Each cluster is real and brought up for it. The doctor looks at it, its findings are printed, and
the answers of the commands that it ran go to FOLDER/NAME.json, from which the tests replay them.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

from tests.slurm import doctor
from tests.slurm.cluster import HOST, Cluster, running

from w2dual.cluster.doctor import examination
from w2dual.cluster.doctor.checks import Answer, verdict
from w2dual.config.reader import load

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "tests" / "unit" / "recorded"
# Names of the clusters; each differs from the first in one thing.
CLUSTERS = {
    "accounting": {},
    "no-accounting": {"accounting": False},
    "gres-only": {"accounting": False, "select": "cons_res"},
    "short-limit": {"accounting": False, "limit_min": 60},
    "short-memory-of-jobs": {"accounting": False, "min_job_age_s": 30},
}
DEFAULTS = {"limit_min": 2880, "gpus": 4}
# Clusters of `tests.slurm.doctor`: two in one database, and partitions that are of no use.
OF_NOBODY = "two-clusters"
"""As another user than root, whom some of the partitions are closed to; without a probe."""
BUSY, NO_SHARE = "busy", "no-share"
NAMES = (*CLUSTERS, OF_NOBODY, BUSY, NO_SHARE)


class Recorder:
    """Runs commands and keeps their answers, under names that do not depend on the run."""

    def __init__(self, run: examination.Run = examination.command) -> None:
        """Keep nothing yet; `run` is what runs them."""
        self.run = run
        self.answers: list[dict[str, object]] = []
        self.probe: tuple[Path, dict[str, object]] | None = None

    def __call__(self, *words: str, timeout_s: float = examination.TIMEOUT_S) -> Answer:
        """Run one; what a job has written into its file of output by now is kept too."""
        answer = self.run(*words, timeout_s=timeout_s)
        record = {"words": key(words), "code": answer.code, "out": answer.out, "err": answer.err}
        for word in words:
            if word.startswith("--output="):
                self.probe = Path(word[9:]), record
        if self.probe is not None and self.probe[0].exists():
            self.probe[1]["output"] = self.probe[0].read_text()
        if not self.answers or self.answers[-1] != record:  # a look that saw nothing new
            self.answers.append(record)
        return answer


def key(words: tuple[str, ...]) -> list[str]:
    """Return a command without what differs from run to run."""
    loose = ("--output=", "--wrap=", "name=")
    return [word.partition("=")[0] if word.startswith(loose) else word for word in words]


def cluster_of(name: str, folder: Path) -> Cluster:
    """Return the cluster of a name."""
    if name in CLUSTERS:
        return Cluster(folder, **(DEFAULTS | CLUSTERS[name]))
    return doctor.cluster(folder)


def main() -> None:
    """Look at each cluster."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--out", type=Path, default=FOLDER)
    parser.add_argument("--only", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--no-probe", action="store_true", help="have no job started")
    args = parser.parse_args()
    out = args.out
    out.mkdir(exist_ok=True)
    os.chdir(ROOT)
    config = load([ROOT / "config.yaml"])
    folder = Path(tempfile.mkdtemp(prefix="w2s", dir="/tmp"))  # noqa: S108  sockets want it short
    folder.chmod(0o755)
    for name in args.only:
        with running(cluster_of(name, folder / name)) as cluster:
            os.environ |= cluster.environment
            recorder = Recorder()
            if name == OF_NOBODY:
                recorder = Recorder(doctor.as_user(doctor.NOBODY, os.environ, ROOT))
            asked = examination.Asked(
                partition="gpu" if name in (BUSY, NO_SHARE) else None,
                no_probe=args.no_probe or name == OF_NOBODY,
                probe_wait=8,
            )
            if name == BUSY:
                cluster.run("sbatch", "--gpus=4", "--output=/dev/null", "--wrap=sleep 300")
            elif name == NO_SHARE:
                cluster.run("sacctmgr", "-i", *doctor.SHARE.split(), "GrpTRES=gres/gpu=0")
            findings = examination.examine(config, asked, recorder)
        lines = [line for finding in findings for line in examination.lines(finding)]
        settings = [f"    {s.path}: {s.value}" for f in findings for s in f.settings]
        text = json.dumps(recorder.answers, indent=1)
        text = text.replace(str(cluster.folder), "/cluster").replace(HOST, "node1")
        (out / f"{name}.json").write_text(text.replace(str(ROOT), "/checkout") + "\n")
        word = "can" if verdict(findings) else "cannot"
        sys.stdout.write("\n".join([f"== {name}: {word} run", *lines, *settings, "", ""]))
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
