"""What keeps `snakemake --profile slurm all` from running here: one small check for each thing.

Each check takes the text that a command printed, or numbers, and gives a finding: what was found,
what to do about it, and which lines of the profile follow from it, with the reason. Nothing here
runs a command. Light: JAX is not imported.
"""

from __future__ import annotations

import enum
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from w2dual.cluster_facts import Node, Partition, seconds

FIRST_CHECK_S = 30
"""When the profile first asks for a job's state, if the cluster lets it."""
SLOWEST_POLL_S = 180
"""What the plugin's interval between two questions grows to."""
RETRIES = 5
"""As the profile has them: for what goes wrong, beside what the time limit takes."""
LOCAL_FILE_SYSTEMS = ("ext2/ext3", "xfs", "btrfs", "tmpfs", "overlayfs", "zfs", "ramfs")
FREE_MB = 5000
"""What the paper's results take, with checkpoints and a margin."""


class Level(enum.IntEnum):
    """How bad a finding is."""

    OK = 0
    NOTE = 1
    FAIL = 2

    @property
    def word(self) -> str:
        """What stands before it in the output."""
        return ("ok", "note", "FAIL")[self]


@dataclass(frozen=True)
class Setting:
    """A line of the site's profile; `path` is its keys from the top."""

    path: tuple[str, ...]
    value: Any
    reason: str


@dataclass(frozen=True)
class Finding:
    """What a check found; `remedy` is empty where all is well."""

    check: str
    level: Level
    text: str
    remedy: str = ""
    settings: tuple[Setting, ...] = ()


@dataclass(frozen=True)
class Answer:
    """What a command gave; `code` is 127 where there is no such command, 124 where it hung."""

    code: int
    out: str = ""
    err: str = ""

    @property
    def missing(self) -> bool:
        """Whether there is no such command."""
        return self.code == 127

    @property
    def words(self) -> str:
        """The first line of what it complained about."""
        if self.code == 124:
            return "gives no answer"
        return next(iter((self.err or self.out).strip().splitlines()), f"exit {self.code}")


def quoted(name: str) -> str:
    """Give a name as the value of a resource, which Snakemake takes for an expression."""
    return f"'{name}'"


# ---------------------------------------------------------------- the batch system


def slurm(config: Answer) -> Finding:
    """Is there a SLURM that answers? From `scontrol show config`."""
    if config.missing:
        return Finding(
            "SLURM",
            Level.FAIL,
            "there is none here: no `scontrol`",
            "run this on the login node of your cluster; on one machine use "
            "`snakemake --profile profiles/gpu all` or, without a GPU, profiles/cpu",
        )
    if config.code:
        return Finding(
            "SLURM",
            Level.FAIL,
            f"its controller does not answer: {config.words}",
            "load your site's SLURM module, or ask its administrators whether slurmctld is down",
        )
    return Finding("SLURM", Level.OK, "the controller answers")


def status_command(config: dict[str, str], sacct: Answer) -> Finding:
    """By which command can Snakemake see what becomes of its jobs?"""
    works = sacct.code == 0
    storage = config.get("AccountingStorageType", "")
    has = "sacct works" if works else f"sacct is of no use: {sacct.words}"
    if sacct.missing:
        has = "there is no sacct"
    elif not works and storage.endswith("none"):
        has = f"sacct is only present: {storage}"
    age = seconds(config.get("MinJobAge", "")) or 0
    first = min(FIRST_CHECK_S, age // 3)
    if age >= SLOWEST_POLL_S + first:
        reason = (
            f"{has}; a job stays visible for MinJobAge = {age} s, longer than between two looks"
        )
        settings = (
            Setting(("slurm-status-command",), "squeue", reason),
            Setting(
                ("slurm-init-seconds-before-status-checks",),
                first,
                f"at most a third of MinJobAge = {age} s, else the plugin turns to sacct",
            ),
        )
        return Finding("job states", Level.OK, f"squeue; {has}, MinJobAge {age} s", "", settings)
    if works:
        reason = (
            f"squeue forgets a job after MinJobAge = {age} s, sooner than Snakemake looks again"
        )
        return Finding(
            "job states",
            Level.NOTE,
            f"sacct, since MinJobAge is only {age} s",
            "sacct does not show Snakemake a job ended by scancel: cancel by Ctrl-C in Snakemake",
            (Setting(("slurm-status-command",), "sacct", reason),),
        )
    return Finding(
        "job states",
        Level.FAIL,
        f"neither squeue (MinJobAge {age} s, {SLOWEST_POLL_S + FIRST_CHECK_S} s needed) nor sacct "
        f"({has}) tells how a job ended",
        "ask the administrators for MinJobAge=300 in slurm.conf, or for accounting",
    )


def requeue(config: dict[str, str], partition: Partition) -> Finding:
    """What becomes of a job that is preempted, or whose node fails?"""
    mode = config.get("PreemptMode", "OFF")
    if partition.preempt_mode not in ("OFF", ""):
        mode = partition.preempt_mode
    if "CANCEL" in mode:
        return Finding(
            "preemption",
            Level.FAIL,
            f"partition {partition.name} cancels jobs that others displace (PreemptMode={mode}), "
            "which Snakemake takes for running",
            "choose one without preemption, with --partition; or ask for PreemptMode=REQUEUE",
        )
    config_requeues = config.get("JobRequeue", "1") == "1"
    text = "requeued" if "REQUEUE" in mode else f"not in use (PreemptMode={mode})"
    reason = "a job whose node fails, or that is preempted, goes back to the queue"
    if not config_requeues:
        reason += "; the cluster's own default is not to (JobRequeue=0)"
    setting = Setting(("slurm-requeue",), True, reason)
    return Finding("preemption", Level.OK, f"{text}; jobs ask to be requeued", "", (setting,))


# ---------------------------------------------------------------- where jobs go


def choose_partition(
    partitions: Sequence[Partition], nodes: Sequence[Node], asked: str | None, gpus: int = 1
) -> tuple[Partition | None, Finding]:
    """Choose the partition of training jobs: with GPUs if they ask for any, up, the longest limit.

    Args:
        partitions: what there is.
        nodes: of all of them.
        asked: the one to take; None for a choice.
        gpus: how many a training job asks for.
    """
    with_gpus = {name for node in nodes if node.gpus for name in node.partitions}
    listed = ", ".join(
        f"{p.name} ({_limit(p.limit_min)}{'' if p.up else ', down'}"
        f"{', GPUs' if p.name in with_gpus else ''})"
        for p in partitions
    )
    if asked is not None:
        named = next((p for p in partitions if p.name == asked), None)
        if named is None:
            return None, Finding(
                "partition", Level.FAIL, f"there is no partition {asked}", f"there are: {listed}"
            )
        candidates = [named]
    else:
        candidates = [p for p in partitions if p.up and (not gpus or p.name in with_gpus)]
    if not candidates:
        return None, Finding(
            "partition",
            Level.FAIL,
            f"no partition is up{' that has GPUs' if gpus else ''}; there are: {listed or 'none'}",
            "wait until one is up, or set `resources.gpus: 0` in a config of yours to train on CPU",
        )
    best = max(candidates, key=lambda p: (p.limit_min is None, p.limit_min or 0, p.default))
    whose = "of those with GPUs " if gpus else ""
    why = "named with --partition" if asked else f"{whose}the one with the longest limit"
    setting = Setting(("set-resources", "train", "slurm_partition"), quoted(best.name), why)
    return best, Finding("partition", Level.OK, f"{best.name}: {why}; {listed}", "", (setting,))


def _limit(limit_min: int | None) -> str:
    return "no limit" if limit_min is None else f"{limit_min} min"


def time_limit(partition: Partition, longest_min: int, cell: str, start_min: int) -> Finding:
    """Does the longest cell fit into the partition's limit, or into several jobs?

    Args:
        partition: that of training jobs.
        longest_min: minutes that the longest cell asks for.
        cell: its name.
        start_min: minutes that each job takes before it trains.
    """
    limit = partition.limit_min
    needs = f"the longest cell, {cell}, asks for {longest_min} min"
    if limit is None or limit >= longest_min:
        text = f"{needs}; partition {partition.name} has {_limit(limit)}"
        if limit is None:
            return Finding("time limit", Level.OK, text)
        reason = f"the longest job that partition {partition.name} takes; it refuses a longer one"
        setting = Setting(("config", "site_runtime_min"), limit, reason)
        return Finding("time limit", Level.OK, text, "", (setting,))
    if limit < 2 * start_min:
        return Finding(
            "time limit",
            Level.FAIL,
            f"partition {partition.name} allows {limit} min, of which starting a job takes "
            f"{start_min}",
            "choose a partition with a longer limit, with --partition",
        )
    jobs = math.ceil((longest_min - start_min) / (limit - start_min))
    retries = RETRIES + jobs - 1
    return Finding(
        "time limit",
        Level.NOTE,
        f"{needs}; partition {partition.name} has {limit} min: it goes on over {jobs} jobs",
        "nothing to do: a job is warned before its limit and writes a checkpoint; the next goes on",
        (
            Setting(
                ("config", "site_runtime_min"),
                limit,
                f"the longest job that partition {partition.name} takes; it refuses a longer one",
            ),
            Setting(
                ("retries",),
                retries,
                f"the longest cell takes {jobs} jobs; and {RETRIES} for what goes wrong",
            ),
        ),
    )


def memory(partition: Partition, nodes: Sequence[Node], wanted_mb: int, cpus: int) -> Finding:
    """Is there a GPU node with the memory and the processors that a training job asks for?"""
    own = [node for node in nodes if partition.name in node.partitions and node.gpus]
    own = own or [node for node in nodes if partition.name in node.partitions]
    most = max((node.memory_mb for node in own), default=0)
    processors = max((node.cpus for node in own), default=0)
    if most < wanted_mb or processors < cpus:
        return Finding(
            "memory",
            Level.FAIL,
            f"a training job asks for {wanted_mb} MB and {cpus} CPU(s); the largest node of "
            f"{partition.name} has {most} MB and {processors}",
            "set `resources.memory_mb` and `resources.cpus` in a config of yours",
        )
    setting = Setting(
        ("config", "site_memory_mb"), most, f"of the largest node of partition {partition.name}"
    )
    return Finding(
        "memory",
        Level.OK,
        f"{wanted_mb} MB and {cpus} CPU(s) for each training job; nodes have up to {most} MB and "
        f"{processors}",
        "",
        (setting,),
    )


def gpu_request(by_gpus: Answer, by_gres: Answer, nodes: Sequence[Node]) -> Finding:
    """How is a GPU asked for? From `sbatch --test-only` with `--gpus=1` and with `--gres=gpu:1`."""
    models = sorted({model for node in nodes for model in node.gpus if model})
    several = len(models) > 1
    kinds = f" ({', '.join(models)})" if models else ""
    if by_gpus.code == 0:
        if several:
            return Finding(
                "GPUs",
                Level.NOTE,
                f"--gpus=1 is accepted; there are several models{kinds}, and a job may get any",
                "for one of them, add `gpu_model: MODEL` to `set-resources: train:`, "
                "so that checkpoints and times are of one kind",
            )
        return Finding("GPUs", Level.OK, f"--gpus=1 is accepted{kinds}")
    if by_gres.code == 0:
        reason = f"sbatch refuses --gpus=1 ({by_gpus.words}) and takes --gres=gpu:1"
        return Finding(
            "GPUs",
            Level.OK,
            f"only by --gres=gpu:1{kinds}; --gpus=1: {by_gpus.words}",
            "",
            (
                Setting(("set-resources", "train", "gres"), quoted("gpu:1"), reason),
                Setting(("set-resources", "train", "gpu"), 0, "the plugin takes one of the two"),
            ),
        )
    return Finding(
        "GPUs",
        Level.FAIL,
        f"sbatch takes neither --gpus=1 ({by_gpus.words}) nor --gres=gpu:1 ({by_gres.words})",
        "ask your site how GPUs are requested; `sinfo -o '%P %G'` shows what SLURM knows of them",
    )


def account(config: dict[str, str], associations: Sequence[dict[str, str]], jobs: int) -> Finding:
    """Is an account needed, and how many jobs may be in the queue?"""
    enforced = "associations" in config.get("AccountingStorageEnforce", "").lower()
    names = list(dict.fromkeys(row["account"] for row in associations if row["account"]))
    allowed = [int(row["max_submit"]) for row in associations if row["max_submit"].isdigit()]
    most = min(
        [*allowed, seconds(config.get("MaxJobCount", "")) or jobs],
    )
    settings = []
    if most < jobs:
        settings.append(
            Setting(("jobs",), most, f"your association lets you have {most} jobs in the queue")
        )
    queue = f"up to {min(most, jobs)} jobs in the queue"
    if not enforced:
        return Finding("account", Level.OK, f"none is needed; {queue}", "", tuple(settings))
    if not names:
        return Finding(
            "account",
            Level.FAIL,
            "the cluster takes jobs of registered accounts alone, and you have none",
            "ask the administrators for an account",
        )
    settings.append(
        Setting(
            ("default-resources", "slurm_account"),
            quoted(names[0]),
            f"the cluster enforces associations; yours: {', '.join(names)}",
        )
    )
    level = Level.NOTE if len(names) > 1 else Level.OK
    remedy = "to use another, change slurm_account in the site file" if len(names) > 1 else ""
    return Finding("account", level, f"{names[0]}; {queue}", remedy, tuple(settings))


# ---------------------------------------------------------------- files and programs


def file_system(kind: str, nodes: int) -> Finding:
    """Do the nodes see the checkout? From `stat --file-system --format=%T .` and their count."""
    kind = kind.strip()
    if not kind:
        return Finding(
            "file system",
            Level.NOTE,
            "of an unknown kind: `stat` gives none",
            "see that all nodes have the checkout under the same path",
        )
    if nodes > 1 and kind in LOCAL_FILE_SYSTEMS:
        return Finding(
            "file system",
            Level.FAIL,
            f"the checkout is on {kind}, this machine's own; the cluster has {nodes} nodes",
            "move the checkout to a folder that all nodes see (home, project or scratch)",
        )
    shared = "the only node's own" if nodes <= 1 and kind in LOCAL_FILE_SYSTEMS else "shared"
    return Finding("file system", Level.OK, f"{kind}, {shared}")


def disk(free_mb: float, folder: str) -> Finding:
    """Is there room for the results?"""
    text = f"{free_mb / 1000:.0f} GB free in {folder}"
    if free_mb < FREE_MB:
        remedy = f"make room for {FREE_MB / 1000:.0f} GB, or move the checkout"
        return Finding("disk", Level.FAIL, text, remedy)
    return Finding("disk", Level.OK, text)


def tex(check: Answer) -> Finding:
    """Can evaluation.pdf be set? From `scripts/install_tex.sh --check`."""
    if check.code == 0:
        return Finding("TeX", Level.OK, "what evaluation.pdf needs is there")
    missing = next(
        (line for line in (check.out + check.err).splitlines() if "missing" in line), check.words
    )
    return Finding(
        "TeX",
        Level.FAIL,
        missing.removeprefix("install_tex: "),
        "load your site's TeX module, or run scripts/install_tex.sh; without TeX ask for "
        "`everything_but_pdf` in place of `all`",
    )


def benchmark_files(
    missing: Sequence[str], wanted: int, where: str, sources: Sequence[str]
) -> Finding:
    """Are the benchmark's weights at hand?

    Args:
        missing: files that the mirror lacks.
        wanted: how many the config needs.
        where: the mirror's folder, or why there is none.
        sources: the config's `measures.benchmark.sources`.
    """
    if not missing:
        return Finding("benchmark files", Level.OK, f"{wanted} of {wanted} in {where}")
    text = f"{wanted - len(missing)} of {wanted} in {where}"
    if "download" in sources:
        return Finding(
            "benchmark files",
            Level.NOTE,
            f"{text}; the others are downloaded by the jobs",
            "if your nodes have no internet, clone the published repository on the login node and "
            "set W2BENCHMARK_MIRROR to its `benchmarks` folder",
        )
    if "generated" in sources:
        remedy = "set W2BENCHMARK_MIRROR if you want the published ones"
        return Finding(
            "benchmark files", Level.NOTE, f"{text}; the others are trained anew", remedy
        )
    return Finding(
        "benchmark files",
        Level.FAIL,
        text,
        "set W2BENCHMARK_MIRROR to a folder that holds Mix3toMix10/*.pt",
    )


def packages(versions: dict[str, str | None]) -> Finding:
    """Are Snakemake and its plugin installed?"""
    lacking = [name for name, version in versions.items() if version is None]
    if lacking:
        return Finding(
            "Snakemake",
            Level.FAIL,
            f"not installed in this Python: {', '.join(lacking)}",
            "`make env`, then `source .venv/bin/activate`",
        )
    listed = ", ".join(f"{name} {version}" for name, version in versions.items())
    return Finding("Snakemake", Level.OK, listed)


def probe(answer: Answer, gpus: int, measured: Sequence[str], forced: str | None) -> Finding:
    """What did a one-minute job see? From the line of JSON that it printed.

    Args:
        answer: of the job.
        gpus: how many a training job asks for.
        measured: devices in the file of costs.
        forced: JAX_PLATFORMS, which the job takes over; None where it is not set.
    """
    line = next((line for line in answer.out.splitlines() if line.startswith("{")), None)
    if line is None:
        return Finding(
            "probe job",
            Level.FAIL,
            f"it gave no result: {answer.words}",
            "submit one by hand to see why: sbatch --wrap hostname; then give doctor the partition "
            "with --partition, or leave the probe out with --no-probe",
        )
    seen = json.loads(line)
    text = f"on {seen['host']}, job {seen['job']}: JAX {seen['jax']} sees {seen['device']}"
    if seen.get("error"):
        return Finding(
            "probe job",
            Level.FAIL,
            f"on {seen['host']}: {seen['error']}",
            "is the checkout's .venv where the node sees it? Run `make env` there",
        )
    if gpus and seen["platform"] == "cpu":
        if forced == "cpu":
            remedy = "unset JAX_PLATFORMS to train on the GPU"
            return Finding(
                "probe job", Level.NOTE, f"{text}, as JAX_PLATFORMS=cpu asks for", remedy
            )
        return Finding(
            "probe job",
            Level.FAIL,
            f"{text}, and no GPU",
            "`make env JAX=cuda12` (or cuda13, by the node's driver), then doctor again",
        )
    if seen["device"] in measured:
        setting = Setting(
            ("config", "site_device"),
            seen["device"],
            "the probe job ran on it, and reference/costs.csv has its times: jobs ask for these",
        )
        return Finding("probe job", Level.OK, text, "", (setting,))
    return Finding(
        "probe job",
        Level.NOTE if gpus else Level.OK,
        f"{text}; reference/costs.csv has no times of it, so jobs ask for resources.runtime_min",
        "`python -m w2dual measure` on such a node tells what cells cost there" if gpus else "",
    )


def verdict(findings: Sequence[Finding]) -> bool:
    """Whether `snakemake --profile slurm all` can be expected to run."""
    return all(finding.level < Level.FAIL for finding in findings)
