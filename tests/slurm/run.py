"""The workflow on a real SLURM cluster on this machine: `make test-slurm`.

    python -m tests.slurm.run [--keep] [--only accounting|squeue|doctor]

Brings a cluster up twice, with accounting and without, and has the real Snakemake with the profile
`slurm/` train a few cells there, while jobs are requeued, killed, stopped by their time limit and
cancelled. Brings up a third one, with partitions that are of no use, and has the doctor look at it.
A line for each check; the exit code is 0 where all have passed. The node's GPUs are fake, so
training runs on the processor: JAX_PLATFORMS=cpu is in the environment, which SLURM hands on.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from tests.slurm import doctor
from tests.slurm.cluster import URGENT, Cluster, ClusterError, running
from tests.slurm.preset import CELLS, KILLED, LONG, PRESET, REQUEUED, SHORT
from tests.workflow.conftest import copy_checkout

ROOT = Path(__file__).parents[2]
PREFIX = "site"
RUN_S = 420.0
"""Seconds that one run of Snakemake gets."""
ON_GPU = ("prepare", "conjugation_study", "line_search")
"""Rules beside `train` that train, or run what was trained."""


# As the profile has it, but for a test that lasts minutes.
QUICK: Mapping[str, Any] = {
    "slurm-init-seconds-before-status-checks": 3,
    "latency-wait": 5,
    "slurm-keep-successful-logs": True,
}
# One cell is stopped by its time limit, again and again.
HASTY: Mapping[str, Any] = {
    "default-resources": {"mem_mb": 1000, "slurm_extra": "'--signal=USR1@30'"},
    "set-resources": {"train": {"runtime": f"2 * attempt if wildcards.cell == '{LONG}' else 10"}},
}


def say(text: str) -> None:
    """Write a line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


class Failed(Exception):
    """What the rest depends on did not happen."""


@dataclass
class Checks:
    """What has passed and what has not."""

    passed: int = 0
    failed: int = 0

    def check(self, name: str, ok: bool, detail: str = "") -> None:
        """Count a check, and write its line."""
        self.passed += ok
        self.failed += not ok
        say(f"{'PASS' if ok else 'FAIL'}  {name}" + (f"  [{detail}]" if detail else ""))


@dataclass
class Workflow:
    """A copy of the checkout with the test's preset, and Snakemake in it."""

    root: Path
    environment: dict[str, str]
    name: str = "cluster"
    process: subprocess.Popen[bytes] | None = None
    jobs: dict[str, int] = field(default_factory=dict)

    @staticmethod
    def make(
        root: Path,
        environment: dict[str, str],
        name: str = "cluster",
        preset: str = PRESET,
        own: Mapping[str, Any] = HASTY,
    ) -> Workflow:
        """Copy the checkout's files, without what git ignores; `own` goes into the profile.

        `name` is the preset's, which names the folder of its outputs.
        """
        copy_checkout(root)
        (root / "presets" / "cluster.yaml").write_text(preset)
        profile = yaml.safe_load((root / "slurm" / "config.yaml").read_text()) | QUICK
        profile |= dict(own) | {
            "default-resources": profile["default-resources"] | own.get("default-resources", {})
        }
        (root / "slurm" / "config.yaml").write_text(yaml.safe_dump(profile))
        return Workflow(root, environment, name)

    @property
    def outputs(self) -> Path:
        """Where the preset's files go."""
        return self.root / "runs" / self.name

    def command(self, *arguments: str, profile: str = "slurm") -> list[str]:
        """Return the command line that a user would give."""
        start = [sys.executable, "-m", "snakemake", "--profile", profile]
        configs = ["--configfile", "presets/smoke.yaml", "presets/cluster.yaml"]
        return [*start, *configs, "--", *arguments]

    def start(self, *targets: str) -> None:
        """Start Snakemake, in a session of its own; what it says is added to snakemake.log."""
        with open(self.root / "snakemake.log", "ab") as output:
            self.process = subprocess.Popen(
                self.command(*targets),
                cwd=self.root,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def finish(self, timeout_s: float = RUN_S) -> int:
        """Wait for Snakemake and give its exit code.

        Raises:
            Failed: it goes on for longer.
        """
        assert self.process is not None
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise Failed(f"Snakemake has not ended in {timeout_s:.0f} s") from None

    def abandon(self) -> None:
        """End a Snakemake that still runs."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def dry_run(self, *targets: str) -> str:
        """Return what Snakemake would do."""
        command = self.command(*targets)
        command.insert(command.index("--profile"), "--dry-run")
        done = subprocess.run(
            command,
            cwd=self.root,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.stdout

    def said(self) -> str:
        """Return what Snakemake has said so far."""
        return (self.root / "snakemake.log").read_text(errors="replace")

    def log(self, cell: str) -> str:
        """Return the log of a training job's newest attempt, which tells of those before."""
        path = self.outputs / "logs" / "train" / f"{cell}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def attempts(self, cell: str) -> list[str]:
        """Return the SLURM job of each attempt at a cell."""
        return re.findall(r"attempt \d+ on \S+, SLURM job (\d+): beg", self.log(cell))

    def begun(self, cell: str) -> list[int]:
        """Return the step that each later attempt resumed from."""
        steps = re.findall(r"attempt \d+ on .*: beg\w+ at step (\d+)", self.log(cell))
        return [int(step) for step in steps[1:]]

    def steps(self, cell: str) -> int:
        """Return the step that the log's last line tells of; 0 before the first of an attempt."""
        found = re.findall(r" step (\d+)/", self.log(cell))
        return int(found[-1]) if found else 0

    def until(self, what: str, happened: Callable[[], bool], timeout_s: float = 240.0) -> None:
        """Wait for something that a running Snakemake brings about.

        Raises:
            Failed: it does not come, or Snakemake ends before.
        """
        assert self.process is not None
        end = time.monotonic() + timeout_s
        while not happened():
            if self.process.poll() is not None or time.monotonic() > end:
                raise Failed(f"waited in vain for: {what}")
            time.sleep(0.2)

    def until_trains(self, cell: str, attempts: int = 1) -> None:
        """Wait until a cell's newest attempt, the one of this number, has done some steps."""
        self.until(
            f"attempt {attempts} at {cell} in the midst of its steps",
            lambda: len(self.attempts(cell)) >= attempts and self.steps(cell) > 0,
        )
        time.sleep(1.5)  # a checkpoint is written every second

    def params(self, cell: str) -> bytes:
        """Return a cell's trained parameters, byte by byte."""
        path = self.outputs / "results" / "train" / cell / "params.safetensors"
        return path.read_bytes() if path.exists() else b""

    def complete(self, cell: str) -> bool:
        """Whether all outputs of a cell are there, and its checkpoints gone."""
        folder = self.outputs / "results" / "train" / cell
        names = ("metrics.json", "history.csv", "params.safetensors")
        there = all((folder / name).is_file() for name in names)
        return there and not (self.outputs / "checkpoints" / cell).exists()

    def partial(self) -> list[str]:
        """Name half-written files, and outputs of cells that are not complete."""
        results = self.outputs / "results"
        hidden = [path for path in results.rglob(".*") if path.name != ".snakemake_timestamp"]
        found = [path for path in results.glob("train/*/*") if not self.complete(path.parent.name)]
        return [str(path.relative_to(results)) for path in [*hidden, *found]]


def training_process(workflow: Workflow, cell: str) -> int:
    """Return the process id of a cell's training job, which belongs to this checkout."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            here = Path(os.readlink(folder / "cwd"))
        except OSError:
            continue
        metrics = f"results/train/{cell}/metrics.json".encode()
        python = b"python" in Path(os.fsdecode(words[0])).name.encode()
        if python and b"train" in words and metrics in words and here == workflow.outputs:
            return int(folder.name)
    raise Failed(f"no process trains {cell}")


def metrics_of(*cells: str) -> list[str]:
    """Name what stands for a cell among the targets."""
    return [f"results/train/{cell}/metrics.json" for cell in cells]


def requeue_and_kill(cluster: Cluster, workflow: Workflow) -> None:
    """Requeue one cell's job, and kill another's, each in the midst of its steps."""
    workflow.until_trains(REQUEUED)
    cluster.run("scontrol", "requeue", workflow.attempts(REQUEUED)[0])
    workflow.until_trains(KILLED)
    os.kill(training_process(workflow, KILLED), signal.SIGKILL)


def went_on(workflow: Workflow, cell: str, jobs: int) -> tuple[bool, str]:
    """Whether a second attempt resumed from the first's checkpoint, and in how many SLURM jobs."""
    attempts, begun = workflow.attempts(cell), workflow.begun(cell)
    as_meant = len(attempts) == 2 and len(set(attempts)) == jobs
    detail = f"SLURM jobs {', '.join(attempts)}; resumed from step {begun}"
    return as_meant and len(begun) == 1 and begun[0] > 0, detail


def check_requeued(checks: Checks, workflow: Workflow) -> None:
    """Same SLURM job, and a log that says where it went on."""
    checks.check(
        "a job that is requeued in the middle of a cell resumes from its checkpoint",
        *went_on(workflow, REQUEUED, jobs=1),
    )


def check_killed(checks: Checks, workflow: Workflow) -> None:
    """Another SLURM job, and a log that says where it went on."""
    checks.check(
        "a job that gets SIGKILL is tried again, from its checkpoint",
        *went_on(workflow, KILLED, jobs=2),
    )


def check_preempted(checks: Checks, cluster: Cluster, workflow: Workflow) -> None:
    """A cell loses its node to a job of higher priority, which asks for all of it."""
    for name in ("metrics.json", "history.csv", "params.safetensors"):
        (workflow.outputs / "results" / "train" / REQUEUED / name).unlink()
    (workflow.outputs / "logs" / "train" / f"{REQUEUED}.log").unlink()
    workflow.start(*metrics_of(REQUEUED))
    workflow.until_trains(REQUEUED)
    urgent = ["sbatch", "--parsable", "--partition", URGENT, "--exclusive", "--output", "/dev/null"]
    urgent_job = cluster.run(*urgent, "--wrap", "sleep 8").strip()
    workflow.until(
        "the urgent job's end",
        lambda: urgent_job not in cluster.run("squeue", "-h", "-o", "%A").split(),
    )
    code = workflow.finish()
    # By SLURM itself: another job would be Snakemake's retry.
    resumed, detail = went_on(workflow, REQUEUED, jobs=1)
    checks.check(
        "a cell that is preempted goes back to the queue, and resumes from its checkpoint",
        code == 0 and workflow.complete(REQUEUED) and resumed,
        f"exit {code}; {detail}",
    )


def with_accounting(checks: Checks, cluster: Cluster, workflow: Workflow) -> None:
    """All cells; requeue, kill and time limit on the way."""
    workflow.start("tables/hd_mlp.tex")
    requeue_and_kill(cluster, workflow)
    code = workflow.finish()
    done = [cell for cell in CELLS if workflow.complete(cell)]
    checks.check(
        "snakemake --profile slurm tables/hd_mlp.tex: all cells done, and the table",
        code == 0
        and len(done) == len(CELLS)
        and (workflow.outputs / "tables" / "hd_mlp.tex").exists(),
        f"exit {code}, {len(done)} of {len(CELLS)} cells",
    )
    check_requeued(checks, workflow)
    check_killed(checks, workflow)

    log, attempts, begun = workflow.log(LONG), workflow.attempts(LONG), workflow.begun(LONG)
    gains = re.findall(r"gained (\d+) steps", log)
    warned = len(re.findall(r"stopped at step \d+ by SIGUSR1", workflow.said()))
    checks.check(
        "a job over its time limit is warned, writes a checkpoint, and is continued in another job",
        len(gains) >= 1
        and warned >= 1
        and len(set(attempts)) == len(attempts) == len(gains) + 1 == len(begun) + 1
        and begun[0] == int(gains[0]) > 0,
        f"SLURM jobs {', '.join(attempts)}; {warned} by SIGUSR1; gained {', '.join(gains)} steps",
    )
    check_accounting(checks, cluster, workflow)
    checks.check(
        "run again, there is nothing to do",
        "Nothing to be done" in workflow.dry_run("tables/hd_mlp.tex"),
    )
    lost = [f"results/train/{SHORT}/metrics.json", "results/metrics/hd_mlp.csv"]
    for name in [*lost, "tables/hd_mlp.tex", "tables/hd_mlp.csv"]:
        (workflow.outputs / name).unlink()
    lacking = re.findall(r"Training (\S+)", workflow.dry_run("tables/hd_mlp.tex"))
    checks.check(
        "a table asked for by name submits only the cell that it lacks",
        lacking == [SHORT],
        ", ".join(lacking),
    )
    check_preempted(checks, cluster, workflow)


def accounted(cluster: Cluster) -> dict[str, tuple[str, str]]:
    """Return what each job has got, and its comment, which names the rule, from the accounting."""
    fields = "--format=JobIDRaw,AllocTRES,Comment"
    lines = cluster.run("sacct", "-X", "-n", "-P", "-S", "now-2hours", fields).splitlines()
    rows = [line.split("|", 2) for line in lines]
    return {job: (tres, comment) for job, tres, comment in rows}


def check_accounting(
    checks: Checks, cluster: Cluster, workflow: Workflow, cells: Sequence[str] = CELLS
) -> None:
    """What the accounting has of every job that Snakemake submitted for these cells.

    What else trains, or runs on trained cells, may have a GPU too; a job that does neither may not.
    """
    wanted = {job for cell in cells for job in workflow.attempts(cell)}
    got: dict[str, tuple[str, str]] = {}
    end = time.monotonic() + 20  # slurmctld hands its records on every few seconds
    while wanted - got.keys() and time.monotonic() < end:
        got = accounted(cluster)
        time.sleep(0.5)
    with_gpu = {job for job in wanted if "gres/gpu=1" in got.get(job, ("", ""))[0]}
    others = {
        job
        for job in got.keys() - wanted
        if "gres/gpu" in got[job][0] and not any(rule in got[job][1] for rule in ON_GPU)
    }
    checks.check(
        "each training job got its GPU in the accounting, and no other job one",
        len(wanted) >= len(cells) and with_gpu == wanted and not others,
        f"{len(with_gpu)} of {len(wanted)} training jobs; {len(got)} jobs in all",
    )


def check_doctor(checks: Checks, workflow: Workflow) -> None:
    """What it finds, and that Snakemake takes the site file that it writes."""
    configs = ["--configfile", "presets/smoke.yaml", "presets/cluster.yaml"]
    done = subprocess.run(
        [sys.executable, "-m", "w2dual", "doctor", *configs],
        cwd=workflow.root,
        env=workflow.environment | {"PYTHONPATH": "src"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    site = workflow.root / "slurm" / "config.v9+.yaml"
    values = yaml.safe_load(site.read_text()) if site.exists() else {}
    # The machine may lack TeX or the benchmark's files, which is no matter of the cluster's.
    other = r"^FAIL  (?!TeX|(?:benchmark|CelebA64) files)(.*)$"
    wrong = re.findall(other, done.stdout, re.MULTILINE)
    probed = re.search(r"probe job: on (\S+), job \d+: JAX \S+ sees (.*),", done.stdout)
    checks.check(
        "doctor has a probe job run, and writes the site file",
        not wrong
        and probed is not None
        and values.get("slurm-status-command") == "squeue"
        and values.get("config", {}).get("site_runtime_min") == 60,
        "; ".join(wrong) or (probed[0] if probed else done.stdout[-300:]),
    )
    if site.exists():  # a line of the user's own, which shows in what Snakemake says
        with open(site, "a") as stream:
            stream.write(f"slurm-jobname-prefix: {PREFIX}\n")


def without_accounting(checks: Checks, cluster: Cluster, workflow: Workflow) -> None:
    """Two cells: cancelled in the middle, started again, then requeued and killed."""
    check_doctor(checks, workflow)
    targets = metrics_of(REQUEUED, KILLED)
    workflow.start(*targets)
    workflow.until_trains(REQUEUED)
    workflow.until_trains(KILLED)
    assert workflow.process is not None
    began = time.monotonic()
    workflow.process.send_signal(signal.SIGINT)
    code = workflow.finish(90)
    left_s = time.monotonic() - began
    end = time.monotonic() + 30
    while (queue := cluster.run("squeue", "-h")) and time.monotonic() < end:
        time.sleep(0.2)
    checks.check(
        "SIGINT to Snakemake cancels its jobs, and it ends",
        code != 0 and not queue,
        f"exit {code} after {left_s:.0f} s; queue empty: {not queue}",
    )
    checks.check(
        "nothing half-written is left", not workflow.partial(), ", ".join(workflow.partial())
    )
    workflow.start(*targets)
    workflow.until_trains(REQUEUED, 2)
    cluster.run("scontrol", "requeue", workflow.attempts(REQUEUED)[-1])
    workflow.until_trains(KILLED, 2)
    os.kill(training_process(workflow, KILLED), signal.SIGKILL)
    code = workflow.finish()
    for cell, word in ((REQUEUED, "requeued"), (KILLED, "killed")):
        attempts, begun = workflow.attempts(cell), workflow.begun(cell)
        jobs = 2 if cell == REQUEUED else 3
        checks.check(
            f"without accounting: cancelled, started again and {word}, a cell goes on each time",
            code == 0
            and workflow.complete(cell)
            and len(attempts) == 3
            and len(set(attempts)) == jobs
            and len(begun) == 2
            and 0 < begun[0] < begun[1],
            f"exit {code}; SLURM jobs {', '.join(attempts)}; resumed from steps {begun}",
        )
    checks.check(
        "snakemake --profile slurm has taken the site file",
        f"SLURM run ID: {PREFIX}_" in workflow.said(),
    )
    checks.check(
        "squeue was asked, and never sacct", "Falling back to 'sacct'" not in workflow.said()
    )


@contextmanager
def session(name: str, folder: Path, accounting: bool) -> Iterator[tuple[Cluster, Workflow]]:
    """Bring a cluster and a checkout up; show the ends of the logs where something fails."""
    cluster = Cluster(folder / name, accounting=accounting, gpus=4)
    began = time.monotonic()
    say(f"\n== {name}: a cluster {'with' if accounting else 'without'} accounting")
    with running(cluster):
        say(f"   up after {time.monotonic() - began:.1f} s")
        workflow = Workflow.make(folder / f"{name}-checkout", environment(cluster))
        try:
            yield cluster, workflow
        finally:
            workflow.abandon()
    say(f"   {time.monotonic() - began:.0f} s")


def environment(cluster: Cluster, quick: bool = True) -> dict[str, str]:
    """Return what a user of the cluster has in the shell; `quick` to compile, not to run."""
    dropped = ("PYTHONPATH", "SNAKEMAKE_PROFILE", "SLURM_JOB_ID")
    kept = {key: value for key, value in cluster.environment.items() if key not in dropped}
    cache = os.environ.get("JAX_COMPILATION_CACHE_DIR", str(cluster.folder.parent / "jax"))
    if quick:  # compiles in a third of the time
        kept |= {"XLA_FLAGS": "--xla_backend_optimization_level=0"}
    return kept | {"JAX_PLATFORMS": "cpu", "JAX_COMPILATION_CACHE_DIR": cache}


def local(folder: Path, environment: dict[str, str]) -> Workflow:
    """Train one cell without any cluster, undisturbed."""
    workflow = Workflow.make(folder / "local-checkout", environment)
    command = workflow.command(*metrics_of(KILLED), profile="profiles/gpu")
    with open(workflow.root / "snakemake.log", "ab") as output:
        subprocess.run(
            command, cwd=workflow.root, env=environment, stdout=output, stderr=output, check=False
        )
    return workflow


@contextmanager
def whole(keep: bool) -> Iterator[tuple[Path, Checks]]:
    """Yield a folder and the checks; end with their count, and the folder's name if it is kept."""
    folder = Path(tempfile.mkdtemp(prefix="w2s", dir="/tmp"))  # noqa: S108  sockets want it short
    folder.chmod(0o755)
    # What a shell starts in the background ignores it, and what that starts does too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    checks, began = Checks(), time.monotonic()
    yield folder, checks
    if keep or checks.failed:
        say(f"\nlogs: {folder}")
    else:
        shutil.rmtree(folder)
    say(f"\n{checks.passed} passed, {checks.failed} failed, in {time.monotonic() - began:.0f} s")


def main() -> int:
    """Run it all; gives 0 where every check has passed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--only", choices=("accounting", "squeue", "doctor"))
    parser.add_argument("--keep", action="store_true", help="leave the folder with all logs")
    args = parser.parse_args()
    with whole(args.keep) as (folder, checks):
        run(folder, checks, args.only)
    return 1 if checks.failed else 0


def run(folder: Path, checks: Checks, only: str | None) -> None:
    """Run all clusters, or `only` one, then the same cell without any."""
    if only in (None, "doctor"):
        began = time.monotonic()
        say("\n== doctor: a cluster of two in one database, and partitions that are of no use")
        try:
            with running(doctor.cluster(folder / "doctor")) as cluster:
                root = folder / "doctor-checkout"
                copy_checkout(root)
                doctor.check_all(checks, folder, root, cluster)
        except ClusterError as error:
            checks.check(f"doctor: {error}", False)
        say(f"   {time.monotonic() - began:.0f} s")
    workflows: dict[str, Workflow] = {}
    tests = {"accounting": with_accounting, "squeue": without_accounting}
    for name, test in tests.items():
        if only in (None, name):
            try:
                with session(name, folder, accounting=name == "accounting") as (cluster, workflow):
                    workflows[name] = workflow
                    test(checks, cluster, workflow)
            except (Failed, ClusterError) as error:
                checks.check(f"{name}: {error}", False)
    if workflows:
        say("\n== the same cell without a cluster")
        alone = local(folder, next(iter(workflows.values())).environment)
        for name, workflow in workflows.items():
            same = bool(alone.params(KILLED)) and workflow.params(KILLED) == alone.params(KILLED)
            checks.check(
                f"{name}: after all that, the parameters of {KILLED} are those of an undisturbed "
                "local run, byte for byte",
                same,
            )


if __name__ == "__main__":
    sys.exit(main())
