"""What jobs ask SLURM for: the doctor's checks of accounts, limits, memory and GPUs.

As in `checks`, nothing here runs a command. Light: JAX is not imported.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from w2dual.cluster.access import Access, Accounting, nodes_of, usable
from w2dual.cluster.doctor.checks import Answer, Finding, Level, Setting
from w2dual.cluster.doctor.queue import (
    GPU_RULES,
    RETRIES,
    Wanted,
    large_enough,
    limit_text,
    quoted,
)
from w2dual.cluster.facts import Node, Partition, seconds


def account(
    config: Mapping[str, str], accounting: Accounting, access: Access | None, jobs: int
) -> Finding:
    """Is an account needed, and how many jobs may be in the queue?

    Args:
        config: the controller's.
        accounting: what the database says of the user.
        access: of the jobs that no rule says otherwise of; None where no partition takes them.
        jobs: how many the profile has in the queue.
    """
    names = list(dict.fromkeys(a.account for a in accounting.associations))
    limits = [access.max_submit if access else None, seconds(config.get("MaxJobCount", ""))]
    most = min((limit for limit in limits if limit), default=jobs)
    settings = []
    if most < jobs:
        settings.append(
            Setting(("jobs",), most, f"your association lets you have {most} jobs in the queue")
        )
    queue = f"up to {min(most, jobs)} jobs in the queue"
    if accounting.trouble:
        return Finding(
            "account",
            Level.NOTE,
            f"not known, since sacctmgr does not say: {accounting.trouble}; {queue}",
            "SLURM takes your default one; for another, set slurm_account in the site file",
            tuple(settings),
        )
    if accounting.needs_account and not names:
        return Finding(
            "account",
            Level.FAIL,
            "the cluster takes jobs only of registered accounts, and you have none on it",
            "ask the administrators for an account",
        )
    chosen = access.account if access else None
    default = next((a.account for a in accounting.associations if a.default), None)
    if chosen is None or (not accounting.needs_account and chosen == default):
        return Finding("account", Level.OK, f"none is needed; {queue}", "", tuple(settings))
    why = "the cluster enforces associations" if accounting.needs_account else "not your default"
    settings.append(
        Setting(
            ("default-resources", "slurm_account"),
            quoted(chosen),
            f"{why}; yours on this cluster: {', '.join(names)}",
        )
    )
    which = f"{chosen}{', your default' if chosen == default else ''}"
    if len(names) == 1:
        return Finding("account", Level.OK, f"{which}; {queue}", "", tuple(settings))
    return Finding(
        "account",
        Level.NOTE,
        f"{which}, of {', '.join(names)}; {queue}",
        "to use another, change slurm_account in the site file",
        tuple(settings),
    )


def request(access: Access, account_needed: bool, wanted: Wanted) -> tuple[str, ...]:
    """Return sbatch's options for a training job, but for the GPU: as the site file has them."""
    words = [f"--account={access.account}"] if account_needed and access.account else []
    words.append(f"--partition={access.partition.name}")
    if access.qos is not None:
        words.append(f"--qos={access.qos}")
    return (
        *words,
        f"--time={min(wanted.minutes, access.limit_min or wanted.minutes)}",
        f"--mem={wanted.memory_mb}",
        f"--cpus-per-task={wanted.cpus}",
    )


def time_limit(access: Access, longest_min: int, cell: str, start_min: int) -> Finding:
    """Does the longest cell fit into the limit of training jobs, or into several jobs?

    Args:
        access: of training jobs.
        longest_min: minutes that the longest cell asks for.
        cell: its name.
        start_min: minutes that each job takes before it trains.
    """
    limit, whose = access.limit_min, access.limit_of
    needs = f"the longest cell, {cell}, asks for {longest_min} min"
    reason = f"the longest job that {whose} takes; it refuses a longer one"
    if limit is None or limit >= longest_min:
        text = f"{needs}; {whose} has {limit_text(limit)}"
        if limit is None:
            return Finding("time limit", Level.OK, text)
        setting = Setting(("config", "site_runtime_min"), limit, reason)
        return Finding("time limit", Level.OK, text, "", (setting,))
    if limit < 2 * start_min:
        return Finding(
            "time limit",
            Level.FAIL,
            f"{whose} allows {limit} min, of which starting a job takes {start_min}",
            "choose a partition with a longer limit, with --partition",
        )
    jobs = math.ceil((longest_min - start_min) / (limit - start_min))
    retries = RETRIES + jobs - 1
    return Finding(
        "time limit",
        Level.NOTE,
        f"{needs}; {whose} has {limit} min: it takes {jobs} jobs",
        "nothing to do: a job is warned before its limit and writes a checkpoint; the next resumes",
        (
            Setting(("config", "site_runtime_min"), limit, reason),
            Setting(
                ("retries",),
                retries,
                f"the longest cell takes {jobs} jobs; and {RETRIES} for what goes wrong",
            ),
        ),
    )


def memory(partition: Partition, nodes: Sequence[Node], wanted: Wanted) -> Finding:
    """Is there a node in use with the memory and the processors that a training job asks for?"""
    own = usable(nodes_of(partition, nodes, wanted.gpus))
    most = max((node.memory_mb for node in own), default=0)
    most = min(most, partition.max_memory_mb or most)
    processors = max((node.cpus for node in own), default=0)
    if not large_enough(partition, nodes, wanted):
        return Finding(
            "memory",
            Level.FAIL,
            f"a training job asks for {wanted.memory_mb} MB and {wanted.cpus} CPU(s) on one node; "
            f"those in use of {partition.name} have up to {most} MB and {processors}",
            "set `resources.memory_mb` and `resources.cpus` in your config",
        )
    setting = Setting(
        ("config", "site_memory_mb"), most, f"of the largest node of partition {partition.name}"
    )
    return Finding(
        "memory",
        Level.OK,
        f"{wanted.memory_mb} MB and {wanted.cpus} CPU(s) for each training job; nodes have up to "
        f"{most} MB and {processors}",
        "",
        (setting,),
    )


def gpu_request(
    by_gpus: Answer,
    by_gres: Answer,
    nodes: Sequence[Node],
    rules: Sequence[str] = GPU_RULES,
    without: Answer | None = None,
) -> Finding:
    """How is a GPU asked for? From `sbatch --test-only` with `--gpus=1` and with `--gres=gpu:1`.

    Always a whole one: several processes on a card slow each other far beyond their share
    (docs/performance.md).

    Args:
        by_gpus: the answer to the first.
        by_gres: the answer to the second.
        nodes: those of the partition.
        rules: which ask for a GPU.
        without: the answer to the same job without a GPU, where it refuses both.
    """
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
        if parts := sorted({part for node in nodes for part in node.parts}):
            return Finding(
                "GPUs",
                Level.NOTE,
                f"--gpus=1 is accepted{kinds}; a job gets a whole card, where the site also gives "
                f"parts of one ({', '.join(parts)})",
                "leave it at that: processes that share a card slow each other far beyond their "
                "share (docs/performance.md)",
            )
        return Finding("GPUs", Level.OK, f"--gpus=1 is accepted{kinds}; a card for each job")
    if by_gres.code == 0:
        reason = f"sbatch refuses --gpus=1 ({by_gpus.words}) and takes --gres=gpu:1"
        settings = [
            setting
            for rule in rules
            for setting in (
                Setting(("set-resources", rule, "gres"), quoted("gpu:1"), reason),
                Setting(("set-resources", rule, "gpu"), 0, "the plugin takes one of the two"),
            )
        ]
        text = f"only by --gres=gpu:1{kinds}; --gpus=1: {by_gpus.words}"
        return Finding("GPUs", Level.OK, text, "", tuple(settings))
    if without is not None and without.code:
        return Finding(
            "GPUs",
            Level.FAIL,
            f"not known: sbatch does not take the job without a GPU either ({without.words})",
            "ask your site, or name another partition with --partition",
        )
    return Finding(
        "GPUs",
        Level.FAIL,
        f"sbatch takes neither --gpus=1 ({by_gpus.words}) nor --gres=gpu:1 ({by_gres.words})",
        "ask your site how GPUs are requested; `sinfo -o '%P %G'` shows what SLURM knows of them",
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
