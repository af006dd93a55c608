"""What SLURM's commands print, read: the configuration, partitions, nodes and associations.

Light: JAX is not imported.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

UNLIMITED = ("UNLIMITED", "NONE", "INFINITE", "(null)")


@dataclass(frozen=True)
class Partition:
    """One partition.

    Attributes:
        name: its name.
        default: whether jobs that name none go there.
        up: whether it takes jobs.
        limit_min: minutes that a job may take; None for no limit.
        preempt_mode: what becomes of a job that another displaces.
    """

    name: str
    default: bool
    up: bool
    limit_min: int | None
    preempt_mode: str


@dataclass(frozen=True)
class Node:
    """One node; `gpus` counts them by model, an empty name where SLURM knows none."""

    name: str
    partitions: tuple[str, ...]
    cpus: int
    memory_mb: int
    gpus: dict[str, int]
    state: str


def read_config(text: str) -> dict[str, str]:
    """Read `scontrol show config`: names and values, as they stand there."""
    pairs = re.findall(r"^(\w+)\s*= (.*?)\s*$", text, re.MULTILINE)
    return dict(pairs)


def seconds(value: str) -> int | None:
    """Read a time such as `300 sec`; None where it is none."""
    match = re.match(r"(\d+)", value)
    return int(match[1]) if match else None


def minutes(value: str) -> int | None:
    """Read a time limit such as `1-12:00:00` or `04:00:00`; None for no limit."""
    if value in UNLIMITED:
        return None
    days, _, clock = value.rpartition("-")
    parts = [int(part) for part in clock.split(":")]
    if days:
        parts += [0] * (3 - len(parts))  # DAYS-HOURS, DAYS-HOURS:MINUTES
    elif len(parts) < 3:
        parts = [0] * (2 - len(parts)) + parts  # MINUTES:SECONDS, SECONDS
        parts = [0, *parts]
    hours, mins, _ = parts
    return (int(days or 0) * 24 + hours) * 60 + mins


def _records(text: str) -> list[dict[str, str]]:
    """Read what `scontrol --oneliner` prints: `Key=value` words, one record a line."""
    lines = [line for line in text.splitlines() if "=" in line]
    return [dict(re.findall(r"(\w+)=(\S*)", line)) for line in lines]


def read_partitions(text: str) -> list[Partition]:
    """Read `scontrol show partition --oneliner`."""
    return [
        Partition(
            name=record["PartitionName"],
            default=record.get("Default") == "YES",
            up=record.get("State") == "UP",
            limit_min=minutes(record.get("MaxTime", "UNLIMITED")),
            preempt_mode=record.get("PreemptMode", "OFF"),
        )
        for record in _records(text)
        if "PartitionName" in record
    ]


def read_nodes(text: str) -> list[Node]:
    """Read `scontrol show node --oneliner`."""
    return [
        Node(
            name=record["NodeName"],
            partitions=tuple(filter(None, record.get("Partitions", "").split(","))),
            cpus=int(record.get("CPUTot", 0)),
            memory_mb=int(record.get("RealMemory", 0)),
            gpus=_gpus(record.get("Gres", "")),
            state=record.get("State", ""),
        )
        for record in _records(text)
        if "NodeName" in record
    ]


def _gpus(gres: str) -> dict[str, int]:
    """Read a node's `Gres`, such as `gpu:h100:8(S:0-1),nvme:1` or `gpu:2`."""
    found: dict[str, int] = {}
    for model, count in re.findall(r"(?:^|,)gpu:(?:([\w.-]+?):)?(\d+)", gres):
        found[model] = found.get(model, 0) + int(count)
    return found


def read_associations(text: str) -> list[dict[str, str]]:
    """Read `sacctmgr -nP show associations format=account,partition,maxsubmit`."""
    rows = [line.split("|") for line in text.splitlines() if line.count("|") >= 2]
    return [dict(zip(("account", "partition", "max_submit"), row, strict=False)) for row in rows]
