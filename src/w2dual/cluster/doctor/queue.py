"""Where jobs go: the doctor's choice of partitions.

As in `checks`, nothing here runs a command. Light: JAX is not imported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from w2dual.cluster.access import Access, nodes_of, usable
from w2dual.cluster.doctor.checks import Finding, Level, Setting
from w2dual.cluster.facts import Node, Partition

RETRIES = 5
"""As the profile has them: for what goes wrong, in addition to what the time limit takes."""
GPU_RULES = ("train", "conjugation_study", "line_search", "start_study", "color_study")
"""Rules that ask for `resources.gpus`."""
PREPARE = "prepare"
"""The rule that asks for a GPU where the config has pairs trained, and for a training's memory."""


def quoted(name: str) -> str:
    """Return a name as the value of a resource, which Snakemake takes for an expression."""
    return f"'{name}'"


@dataclass(frozen=True)
class Wanted:
    """What a kind of job asks for: MB, processors, minutes at most, and GPUs."""

    memory_mb: int
    cpus: int
    minutes: int
    gpus: int = 0


Found = Mapping[str, Access | str]
"""By the partition's name: what a job asks for there, or why it does not go there."""


# ---------------------------------------------------------------- the partition of training jobs


def choose_partition(
    partitions: Sequence[Partition],
    nodes: Sequence[Node],
    found: Found,
    asked: str | None,
    gpus: int = 1,
) -> tuple[Access | None, Finding]:
    """Choose where training jobs go: to GPUs if they ask for any, and for the longest time.

    Args:
        partitions: what there is.
        nodes: of all of them.
        found: which of them the user's jobs start in.
        asked: the one to take; None for a choice.
        gpus: how many a training job asks for.
    """
    listed = ", ".join(_told(p, nodes, found.get(p.name, "")) for p in partitions)
    if asked is not None:
        answer = found.get(asked, "")
        if isinstance(answer, str):
            text = f"{asked}: {answer}" if answer else f"unknown partition {asked}"
            return None, Finding("partition", Level.FAIL, text, f"there are: {listed or 'none'}")
        if gpus and not nodes_of(answer.partition, nodes, gpus):
            text = f"{asked}: none of its nodes has a GPU"
            return None, Finding("partition", Level.FAIL, text, f"there are: {listed}")
        candidates = [answer]
    else:
        candidates = [
            answer
            for answer in found.values()
            if isinstance(answer, Access) and (not gpus or nodes_of(answer.partition, nodes, gpus))
        ]
    if not candidates:
        return None, Finding(
            "partition",
            Level.FAIL,
            f"no partition{' with GPUs' if gpus else ''} takes your jobs now; there are: "
            f"{listed or 'none'}",
            "wait until one does, or ask your site; or set `resources.gpus: 0` in your "
            "config to train on CPU",
        )
    best = max(candidates, key=_longest)
    whose = "of those with GPUs " if gpus else ""
    why = "named with --partition" if asked else f"{whose}the one with the longest limit"
    settings = [_of_rule(rule, "slurm_partition", best.partition.name, why) for rule in GPU_RULES]
    text = f"{best.partition.name}: {why}; {listed}"
    return best, Finding("partition", Level.OK, text, "", tuple(settings))


def left_out(found: Found) -> list[Finding]:
    """Name the partitions that no job of the user's starts in, by their reasons."""
    reasons: dict[str, list[str]] = {}
    for name, why in found.items():
        if isinstance(why, str):
            reasons.setdefault(why, []).append(name)
    return [
        Finding("left out", Level.NOTE, f"{', '.join(names)}: {why}")
        for why, names in reasons.items()
    ]


def _longest(access: Access) -> tuple[bool, bool, int, bool]:
    # What another account or QOS would pay for is not taken unasked, where there is a choice.
    usual = access.default_account and access.qos is None
    return (usual, access.limit_min is None, access.limit_min or 0, access.partition.default)


def _told(partition: Partition, nodes: Sequence[Node], answer: Access | str) -> str:
    limit = answer.limit_min if isinstance(answer, Access) else partition.limit_min
    gpus = ", GPUs" if nodes_of(partition, nodes, 1) else ""
    out = ", left out" if isinstance(answer, str) else ""
    return f"{partition.name} ({limit_text(limit)}{gpus}{out})"


def limit_text(limit_min: int | None) -> str:
    """Return a limit in words."""
    return "no limit" if limit_min is None else f"{limit_min} min"


def _of_rule(rule: str, resource: str, name: str, reason: str) -> Setting:
    return Setting(("set-resources", rule, resource), quoted(name), reason)


# ---------------------------------------------------------------- that of the others


def choose_others(
    found: Found, nodes: Sequence[Node], training: Access, light: Wanted, prepare: Wanted
) -> tuple[Access, Finding]:
    """Choose where all other jobs go: to the default partition, if it takes them.

    Args:
        found: which partitions take the user's jobs, without a GPU.
        nodes: of all partitions.
        training: where training jobs go, and others if need be.
        light: what a job that trains nothing asks for.
        prepare: what preparing a pair asks for.
    """
    open_to_all = [answer for answer in found.values() if isinstance(answer, Access)]
    default = next((name for name, a in found.items() if _is_default(a)), None)
    fit = [access for access in open_to_all if _fits(access, nodes, light, training)]
    best = next((access for access in fit if access.partition.default), None)
    why = f"{best.partition.name}, the cluster's default" if best else ""
    settings: list[Setting] = []
    if best is None:
        # One without GPUs, if there is one: they are for others.
        key = lambda a: (not nodes_of(a.partition, nodes, 1), *_longest(a))  # noqa: E731
        best = max(fit, key=key, default=training)
        why = f"{best.partition.name}, since {_no_default(default, found, light)}"
        name = quoted(best.partition.name)
        settings.append(Setting(("default-resources", "slurm_partition"), name, why))
    if prepare.gpus or not _fits(best, nodes, prepare, training):
        reason = "a pair is prepared with a GPU, or a training job's time and memory"
        settings.append(_of_rule(PREPARE, "slurm_partition", training.partition.name, reason))
        settings += _rights(PREPARE, training, best)
    for rule in GPU_RULES:
        settings += _rights(rule, training, best)
    if best.qos is not None:
        reason = f"partition {best.partition.name} takes it, and not the one that jobs get"
        settings.append(Setting(("default-resources", "qos"), quoted(best.qos), reason))
    return best, Finding("other jobs", Level.OK, f"to {why}", "", tuple(settings))


def _is_default(answer: Access | str) -> bool:
    return isinstance(answer, Access) and answer.partition.default


def _no_default(default: str | None, found: Found, light: Wanted) -> str:
    if default is not None:
        return (
            f"the cluster's default, {default}, does not give {light.minutes} min, "
            f"{light.memory_mb} MB and {light.cpus} CPU(s)"
        )
    return "the cluster has no default partition that takes your jobs"


def _fits(access: Access, nodes: Sequence[Node], wanted: Wanted, training: Access) -> bool:
    # Whatever a job asks for, it asks for no more than training jobs get (`site_runtime_min`).
    minutes = min(wanted.minutes, training.limit_min or wanted.minutes)
    if access.limit_min is not None and access.limit_min < minutes:
        return False
    return bool(large_enough(access.partition, nodes, wanted))


def large_enough(partition: Partition, nodes: Sequence[Node], wanted: Wanted) -> list[Node]:
    """Return the nodes in use that have what a job asks for, all of it on one."""
    most = partition.max_memory_mb
    return [
        node
        for node in usable(nodes_of(partition, nodes, wanted.gpus))
        if min(node.memory_mb, most or node.memory_mb) >= wanted.memory_mb
        and node.cpus >= wanted.cpus
    ]


def _rights(rule: str, training: Access, others: Access) -> list[Setting]:
    """Return account and QOS of a rule that goes with training, where other jobs have others."""
    settings = []
    where = f"partition {training.partition.name} takes it"
    if training.account is not None and training.account != others.account:
        settings.append(_of_rule(rule, "slurm_account", training.account, where))
    if training.qos != others.qos:
        name = training.qos or training.qos_by_default
        settings.append(_of_rule(rule, "qos", name, where))
    return settings
