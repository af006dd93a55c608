"""Which partitions a user's jobs can start in, and with which account and QOS.

SLURM itself does not say: `sbatch --test-only` accepts, and sbatch queues, a job that no node will
ever start, unless the site sets EnforcePartLimits. The rules here are those of slurm.conf(5);
`python -m tests.slurm.run --only doctor` holds them against what a real controller does.
Light: JAX is not imported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from w2dual.cluster.facts import Association, Node, Partition, Qos, among

USUAL_QOS = "normal"
"""What a job gets where neither it, nor the association, names a QOS."""
# ASSUME: from this year's SLURM on, a list of accounts takes in the accounts below those named.
HIERARCHICAL_SINCE = 24


@dataclass(frozen=True)
class User:
    """Who submits: the name, whether it is root, the groups, and the host that it submits from."""

    name: str
    root: bool
    groups: tuple[str, ...]
    host: str


@dataclass(frozen=True)
class Accounting:
    """What the accounting database says of one user on this cluster.

    Attributes:
        enforced: what the cluster enforces, such as `associations` and `limits`.
        associations: the user's, the default account first; none without a database.
        qos: limits by the QOS's name.
        parents: account by the account below it, if lists of accounts are hierarchical here.
        trouble: why the database did not say; empty where it did.
    """

    enforced: frozenset[str] = frozenset()
    associations: Sequence[Association] = ()
    qos: Mapping[str, Qos] = field(default_factory=dict)
    parents: Mapping[str, str] = field(default_factory=dict)
    trouble: str = ""

    @staticmethod
    def of(
        config: Mapping[str, str],
        associations: Sequence[Association],
        qos: Mapping[str, Qos],
        parents: Mapping[str, str],
        trouble: str = "",
    ) -> Accounting:
        """Take what the commands said, and the controller's configuration."""
        enforced = config.get("AccountingStorageEnforce", "none").lower().split(",")
        year = config.get("SLURM_VERSION", "").partition(".")[0]
        hierarchical = year.isdigit() and int(year) >= HIERARCHICAL_SINCE
        return Accounting(
            enforced=frozenset(enforced) - {"none", ""},
            associations=associations,
            qos=qos,
            parents=parents if hierarchical else {},
            trouble=trouble,
        )

    @property
    def needs_account(self) -> bool:
        """Whether jobs of users without an association are refused; the other words imply it."""
        return bool(self.enforced - {"nojobs", "nosteps"})

    @property
    def limits(self) -> bool:
        """Whether limits of associations and QOS hold."""
        return bool(self.enforced & {"limits", "qos", "safe", "all"})

    def line_of(self, account: str) -> list[str]:
        """Return the account, then those above it as far as lists of accounts reach."""
        line = [account.lower()]
        while (above := self.parents.get(line[-1], "").lower()) and above not in line:
            line.append(above)
        return line


@dataclass(frozen=True)
class Access:
    """What a job asks for so that it is taken.

    Attributes:
        partition: where it goes.
        account: its account; None where the user has none.
        default_account: whether that is what it gets by itself.
        qos: its QOS; None for the one that it gets by itself.
        qos_by_default: the one that it gets by itself.
        limit_min: minutes that it may take; None for no limit.
        limit_of: whose limit that is.
        max_submit: the user's jobs in the queue; None for no limit.
    """

    partition: Partition
    account: str | None = None
    default_account: bool = True
    qos: str | None = None
    qos_by_default: str = USUAL_QOS
    limit_min: int | None = None
    limit_of: str = ""
    max_submit: int | None = None


def closed(
    partition: Partition, nodes: Sequence[Node], user: User, gpus: int, named: bool = False
) -> str | None:
    """Return why no job of the user's starts in a partition, whatever its account; None if it may.

    Args:
        partition: which.
        nodes: of all partitions.
        user: who submits.
        gpus: how many a job asks for; only nodes with GPUs count if it does.
        named: whether the user has named the partition: one that is hidden, then, or that SLURM may
            know this host for by another name.
    """
    p = partition
    if p.state == "DOWN":
        return "closed (State=DOWN): jobs wait there, and none starts"
    if not p.up:
        return f"closed (State={p.state or 'not UP'}): it takes no jobs"
    if p.hidden and not named:
        return "hidden (Hidden=YES); name it by --partition if it is meant for you"
    if p.root_only and not user.root:
        return "takes only jobs of root (RootOnly=YES)"
    if p.no_root and user.root:
        return "takes no jobs of root (DisableRootJobs=YES)"
    if p.needs_reservation:
        return "takes only jobs of a reservation (ReqResv=YES)"
    if p.allow_groups is not None and not user.root and not set(p.allow_groups) & set(user.groups):
        theirs, yours = _listed(p.allow_groups), _listed(user.groups)
        return f"takes only jobs of the group(s) {theirs} (AllowGroups); yours: {yours}"
    # SLURM may know this host by another name: once the partition is named, sbatch has the word.
    if p.alloc_nodes is not None and not named and not among(user.host, p.alloc_nodes):
        return f"takes jobs from the host(s) {_listed(p.alloc_nodes)}; this is {user.host}"
    if p.min_nodes > 1:
        return f"takes jobs of {p.min_nodes} nodes or more (MinNodes)"
    own = nodes_of(partition, nodes, gpus)
    if own and not usable(own):
        told = "; ".join(f"{node.name} is {node.out}" for node in own[:3])
        more = f"; and {len(own) - 3} more" if len(own) > 3 else ""
        return f"has no node{' with GPUs' if gpus else ''} in use: {told}{more}"
    return None


def nodes_of(partition: Partition, nodes: Sequence[Node], gpus: int) -> list[Node]:
    """Return the nodes of a partition, those with GPUs where a job asks for any."""
    return [n for n in nodes if partition.name in n.partitions and (n.gpus or not gpus)]


def usable(nodes: Sequence[Node]) -> list[Node]:
    """Return the nodes that start jobs."""
    return [node for node in nodes if not node.out]


def admitted(partition: Partition, accounting: Accounting) -> Access | str:
    """Return with which account and QOS a partition takes the user's jobs, or why it takes none.

    The default account comes first, and of its QOS the one that a job gets by itself.
    """
    if not accounting.associations:
        return _without_association(partition, accounting)
    own = [a for a in accounting.associations if a.partition in ("", partition.name)]
    if not own:
        theirs = sorted({a.partition for a in accounting.associations})
        return f"your accounts are for other partitions: {_listed(theirs)}"
    let_in = [a for a in own if _takes_account(partition, accounting.line_of(a.account))]
    if not let_in:
        yours = _listed([a.account for a in own])
        if partition.allow_accounts is not None:
            listed = _listed(partition.allow_accounts)
            return f"takes only jobs of the account(s) {listed} (AllowAccounts); yours: {yours}"
        listed = _listed(partition.deny_accounts)
        return f"takes no jobs of the account(s) {listed} (DenyAccounts); yours: {yours}"
    for association in let_in:
        for qos in _qos_of(association, accounting):
            if _takes_qos(partition, qos or _by_default(association)):
                return _access(partition, association, qos, accounting)
    yours = _listed(dict.fromkeys(name for a in let_in for name in (_by_default(a), *a.qos)))
    if partition.allow_qos is not None:
        listed = _listed(partition.allow_qos)
        return f"takes only jobs of the QOS {listed} (AllowQos); yours: {yours}"
    return f"takes no jobs of the QOS {_listed(partition.deny_qos)} (DenyQos); yours: {yours}"


def _without_association(partition: Partition, accounting: Accounting) -> Access | str:
    if accounting.trouble:  # it is left to sbatch
        return Access(
            partition, limit_min=partition.limit_min, limit_of=f"partition {partition.name}"
        )
    if accounting.needs_account:
        return "takes only jobs of registered accounts, and you have none on this cluster"
    if partition.allow_accounts is not None:
        listed = _listed(partition.allow_accounts)
        return f"takes only jobs of the account(s) {listed} (AllowAccounts), and you have none"
    if partition.allow_qos is not None and USUAL_QOS not in partition.allow_qos:
        return f"takes only jobs of the QOS {_listed(partition.allow_qos)} (AllowQos)"
    return Access(partition, limit_min=partition.limit_min, limit_of=f"partition {partition.name}")


def _takes_account(partition: Partition, line: Sequence[str]) -> bool:
    if partition.allow_accounts is not None:  # DenyAccounts does not count then
        return bool(set(line) & set(partition.allow_accounts))
    return not set(line) & set(partition.deny_accounts)


def _takes_qos(partition: Partition, name: str) -> bool:
    if partition.allow_qos is not None:  # DenyQos does not count then
        return name in partition.allow_qos
    return name not in partition.deny_qos


def _by_default(association: Association) -> str:
    """Return the QOS that a job gets by itself."""
    if association.default_qos:
        return association.default_qos
    return association.qos[0] if len(association.qos) == 1 else USUAL_QOS


def _qos_of(association: Association, accounting: Accounting) -> list[str | None]:
    """Return what may be asked for, None for nothing, in the order of trying."""
    default = _by_default(association)
    names = association.qos or (default,)
    lacks_default = "qos" in accounting.enforced and default not in names
    first: list[str | None] = [] if lacks_default else [None]
    return [*first, *(name for name in association.qos if name != default)]


def _access(
    partition: Partition, association: Association, qos: str | None, accounting: Accounting
) -> Access:
    name = qos or _by_default(association)
    limits = [(partition.limit_min, f"partition {partition.name}")]
    submits = [association.max_submit]
    if accounting.limits:
        limits.append((association.max_wall_min, f"your association with {association.account}"))
        for each in filter(None, dict.fromkeys((name, partition.qos))):
            own = accounting.qos.get(each, Qos())
            limits.append((own.max_wall_min, f"the QOS {each}"))
            submits.append(own.max_submit)
    given = [(limit, whose) for limit, whose in limits if limit is not None]
    limit, whose = min(given, key=lambda pair: pair[0], default=(None, limits[0][1]))
    most = min((number for number in submits if number is not None), default=None)
    return Access(
        partition=partition,
        account=association.account,
        default_account=association.default,
        qos=qos,
        qos_by_default=_by_default(association),
        limit_min=limit,
        limit_of=whose,
        max_submit=most,
    )


def access(
    partition: Partition,
    nodes: Sequence[Node],
    user: User,
    accounting: Accounting,
    gpus: int,
    named: bool = False,
) -> Access | str:
    """Return what a job asks for to start in a partition, or why none of the user's starts."""
    return closed(partition, nodes, user, gpus, named) or admitted(partition, accounting)


def _listed(names: Sequence[str] | Mapping[str, object]) -> str:
    return ", ".join(names) or "none"
