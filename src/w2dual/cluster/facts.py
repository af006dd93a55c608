"""What SLURM's commands print, read: the configuration, partitions, nodes, accounts and jobs.

Light: JAX is not imported.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

UNLIMITED = ("UNLIMITED", "NONE", "INFINITE", "(null)")


# States in which a node starts no job, as `scontrol show node` has them; `*` stands for the first.
NOT_RESPONDING = "NOT_RESPONDING"
OUT_OF_USE = frozenset(
    "DOWN DRAIN DRAINED DRAINING ERROR FAIL FAILING FUTURE INVAL INVALID_REG MAINT UNKNOWN".split()
) | {NOT_RESPONDING}


@dataclass(frozen=True)
class Partition:
    """One partition.

    Attributes:
        name: its name.
        default: whether jobs that name none go there.
        up: whether it takes jobs.
        limit_min: minutes that a job may take; None for no limit.
        preempt_mode: what becomes of a job that another displaces.
        state: UP, DOWN, DRAIN or INACTIVE.
        hidden: whether the site does not show it.
        root_only: whether root alone may submit.
        needs_reservation: whether a job must name a reservation.
        no_root: whether it takes no jobs of root's.
        min_nodes: nodes that a job must ask for.
        max_memory_mb: MB of a node that a job may have; None for no limit.
        qos: a QOS whose limits hold in the partition; empty for none.
        allow_groups: groups whose users may submit; None for all. So with the next three.
        allow_accounts: accounts, in lower case.
        allow_qos: QOS.
        alloc_nodes: hosts that jobs may be submitted from, as SLURM lists them.
        deny_accounts: accounts that may not submit; counts where `allow_accounts` is None.
        deny_qos: the same of QOS.
    """

    name: str
    default: bool
    up: bool
    limit_min: int | None
    preempt_mode: str
    state: str = "UP"
    hidden: bool = False
    root_only: bool = False
    needs_reservation: bool = False
    no_root: bool = False
    min_nodes: int = 1
    max_memory_mb: int | None = None
    qos: str = ""
    allow_groups: tuple[str, ...] | None = None
    allow_accounts: tuple[str, ...] | None = None
    allow_qos: tuple[str, ...] | None = None
    alloc_nodes: tuple[str, ...] | None = None
    deny_accounts: tuple[str, ...] = ()
    deny_qos: tuple[str, ...] = ()


@dataclass(frozen=True)
class Node:
    """One node; `gpus` counts them by model, an empty name where SLURM knows none.

    `reason` is the administrators' word on its state. `parts` are the kinds of parts that a job can
    get of a GPU, such as `shard`, and then shares it with others.
    """

    name: str
    partitions: tuple[str, ...]
    cpus: int
    memory_mb: int
    gpus: dict[str, int]
    state: str
    reason: str = ""
    parts: tuple[str, ...] = ()

    @property
    def out(self) -> str:
        """Why it starts no job, such as `drained: bad fan`; empty where it does."""
        states = re.findall(r"[A-Z_]+", self.state.upper())
        if "*" in self.state:
            states.append(NOT_RESPONDING)
        found = [state.lower().replace("_", " ") for state in states if state in OUT_OF_USE]
        found = ["drained" if state.startswith("drain") else state for state in found]
        found = [state for state in found if state != "unknown"] or found
        return " and ".join(found) + (f": {self.reason}" if found and self.reason else "")


@dataclass(frozen=True)
class Association:
    """A user's right to submit under an account of one cluster.

    Attributes:
        account: its name.
        default: whether it is the user's default account there.
        partition: the only partition that it is for; empty for all.
        qos: what jobs may ask for.
        default_qos: what a job gets that asks for none; empty where the database says none.
        max_submit: jobs in the queue; None for no limit.
        max_wall_min: minutes of a job; None for no limit.
    """

    account: str
    default: bool = False
    partition: str = ""
    qos: tuple[str, ...] = ()
    default_qos: str = ""
    max_submit: int | None = None
    max_wall_min: int | None = None


@dataclass(frozen=True)
class Qos:
    """Limits of a quality of service; None for no limit."""

    max_wall_min: int | None = None
    max_submit: int | None = None


def read_config(text: str) -> dict[str, str]:
    """Read `scontrol show config`: names and values, as they stand there."""
    pairs = re.findall(r"^(\w+)\s*= (.*?)\s*$", text, re.MULTILINE)
    return dict(pairs)


def seconds(value: str) -> int | None:
    """Read the number at the start, such as that of `300 sec`; None where there is none."""
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
    """Read what `scontrol --oneliner` prints: `Key=value` words, one record a line.

    A node's reason, which comes last, may have spaces; who gave it and when is left out.
    """
    found = []
    for line in text.splitlines():
        if "=" in line:
            found.append(dict(re.findall(r"(\w+)=(\S*)", line)))
            if "NodeName" in found[-1] and "Reason" in found[-1]:
                reason = line.partition(" Reason=")[2]
                found[-1]["Reason"] = re.sub(r"\s*\[[^\]]*@[^\]]*\].*| \w+=.*", "", reason).strip()
    return found


def read_partitions(text: str) -> list[Partition]:
    """Read `scontrol show partition --oneliner`."""
    return [
        Partition(
            name=record["PartitionName"],
            default=_yes(record, "Default"),
            up=record.get("State") == "UP",
            limit_min=minutes(record.get("MaxTime", "UNLIMITED")),
            preempt_mode=record.get("PreemptMode", "OFF"),
            state=record.get("State", ""),
            hidden=_yes(record, "Hidden"),
            root_only=_yes(record, "RootOnly"),
            needs_reservation=_yes(record, "ReqResv"),
            no_root=_yes(record, "DisableRootJobs"),
            min_nodes=seconds(record.get("MinNodes", "")) or 1,
            max_memory_mb=seconds(record.get("MaxMemPerNode", "")),
            qos=record.get("QoS", "").replace("N/A", ""),
            allow_groups=_allowed(record, "AllowGroups"),
            allow_accounts=_allowed(record, "AllowAccounts", lower=True),
            allow_qos=_allowed(record, "AllowQos"),
            alloc_nodes=_allowed(record, "AllocNodes"),
            deny_accounts=_allowed(record, "DenyAccounts", lower=True) or (),
            deny_qos=_allowed(record, "DenyQos") or (),
        )
        for record in _records(text)
        if "PartitionName" in record
    ]


def _yes(record: dict[str, str], key: str) -> bool:
    return record.get(key) == "YES"


def _allowed(record: dict[str, str], key: str, lower: bool = False) -> tuple[str, ...] | None:
    """Read a list of names; None where it is all of them, or the key is not there."""
    value = record.get(key, "ALL")
    if value.upper() in ("ALL", "(NULL)", ""):
        return None
    value = value.lower() if lower else value
    return tuple(re.split(r",(?![^\[]*\])", value))  # not at a comma within brackets


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
            reason=record.get("Reason", ""),
            parts=tuple(sorted(set(re.findall(r"(?:^|,)(shard|mps):", record.get("Gres", ""))))),
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


def read_associations(text: str) -> list[Association]:
    """Read `sacctmgr -nP show user ... withassoc` with the fields below; the default comes first.

    account,partition,maxsubmit,qos,defaultqos,maxwall,defaultaccount
    """
    rows = [line.split("|") for line in text.splitlines() if line.count("|") >= 6]
    found = [
        Association(
            account=account,
            default=account == default,
            partition=partition,
            qos=tuple(filter(None, qos.split(","))),
            default_qos=default_qos,
            max_submit=seconds(max_submit),
            max_wall_min=minutes(max_wall) if max_wall else None,
        )
        for account, partition, max_submit, qos, default_qos, max_wall, default, *_ in rows
        if account
    ]
    return sorted(found, key=lambda association: not association.default)


def read_qos(text: str) -> dict[str, Qos]:
    """Read `sacctmgr -nP show qos format=name,maxwall,maxsubmitjobsperuser`."""
    rows = [line.split("|") for line in text.splitlines() if line.count("|") >= 2]
    return {
        name: Qos(minutes(max_wall) if max_wall else None, seconds(max_submit))
        for name, max_wall, max_submit, *_ in rows
    }


def read_parents(text: str) -> dict[str, str]:
    """Read `sacctmgr -nP show associations user= format=account,parentname`, a tree of accounts."""
    rows = [line.split("|") for line in text.splitlines() if line.count("|") >= 1]
    return {account: parent for account, parent, *_ in rows if parent}


def read_job(text: str) -> dict[str, str]:
    """Read `scontrol show job --oneliner`; empty where SLURM no longer knows the job."""
    return next((record for record in _records(text) if "JobId" in record), {})


def among(host: str, listed: tuple[str, ...]) -> bool:
    """Whether a host is in a list such as `login[1-3,07],gate`."""
    return any(_is_one_of(host, item) for item in listed)


def _is_one_of(host: str, item: str) -> bool:
    match = re.fullmatch(r"([^\[]*)\[([\d,-]+)\](.*)", item)
    if match is None:
        return host == item
    start, ranges, end = match.groups()
    number = host[len(start) : len(host) - len(end)]
    if not (host.startswith(start) and host.endswith(end) and number.isdigit()):
        return False
    for entry in ranges.split(","):
        low, _, high = entry.partition("-")
        if len(number) >= len(low) and int(low) <= int(number) <= int(high or low):
            return True
    return False
