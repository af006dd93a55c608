"""Who may submit where; `tests.slurm.run --only doctor` holds the same rules against SLURM."""

from dataclasses import replace

import pytest

from w2dual.cluster.access import Access, Accounting, User, access, closed
from w2dual.cluster.facts import Association, Node, Partition, Qos

OPEN = Partition("gpu", default=True, up=True, limit_min=600, preempt_mode="OFF")
NODE = Node("g1", ("gpu",), cpus=16, memory_mb=64000, gpus={"": 2}, state="IDLE")
ME = User("me", root=False, groups=("staff", "lab"), host="login1")
ROOT = replace(ME, name="root", root=True)
LAB = Association("lab", default=True, qos=("normal", "high"))
SIDE = Association("side", qos=("normal",))
BOTH = Accounting(frozenset({"associations", "limits", "qos"}), (LAB, SIDE))


def judge(partition: Partition, accounting: Accounting = BOTH, user: User = ME) -> Access | str:
    return access(partition, [NODE], user, accounting, gpus=1)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"up": False, "state": "DOWN"}, "State=DOWN"),
        ({"up": False, "state": "DRAIN"}, "State=DRAIN"),
        ({"up": False, "state": "INACTIVE"}, "State=INACTIVE"),
        ({"hidden": True}, "Hidden"),
        ({"root_only": True}, "RootOnly"),
        ({"needs_reservation": True}, "ReqResv"),
        (
            {"allow_groups": ("vips",)},
            "only jobs of the group(s) vips (AllowGroups); yours: staff, lab",
        ),
        ({"alloc_nodes": ("login[2-9]", "gate")}, "login[2-9], gate; this is login1"),
        ({"min_nodes": 2}, "MinNodes"),
        (
            {"allow_accounts": ("vip",)},
            "only jobs of the account(s) vip (AllowAccounts); yours: lab, side",
        ),
        ({"deny_accounts": ("lab", "side")}, "DenyAccounts"),
        ({"allow_qos": ("urgent",)}, "only jobs of the QOS urgent (AllowQos); yours: normal, high"),
        ({"deny_qos": ("normal", "high")}, "DenyQos"),
    ],
)
def test_what_closes_a_partition(changes: dict[str, object], reason: str):
    answer = judge(replace(OPEN, **changes))
    assert isinstance(answer, str)
    assert reason in answer
    assert isinstance(judge(OPEN), Access)


@pytest.mark.parametrize(
    "changes",
    [
        {"allow_groups": ("vips", "lab")},
        {"alloc_nodes": ("login[1-9]",)},
        {"allow_accounts": ("lab",)},
        # DenyAccounts and DenyQos do not count beside the lists that allow.
        {"allow_accounts": ("lab",), "deny_accounts": ("lab",)},
        {"allow_qos": ("normal",), "deny_qos": ("normal",)},
        {"deny_accounts": ("other",)},
        {"qos": "unknown"},
    ],
)
def test_what_does_not_close_one(changes: dict[str, object]):
    answer = judge(replace(OPEN, **changes))
    assert isinstance(answer, Access)
    assert (answer.account, answer.qos) == ("lab", None)


def test_root_is_let_into_what_groups_and_root_only_close():
    for changes in ({"root_only": True}, {"allow_groups": ("vips",)}):
        assert isinstance(judge(replace(OPEN, **changes), user=ROOT), Access)
    assert "DisableRootJobs" in str(judge(replace(OPEN, no_root=True), user=ROOT))


def test_a_partition_that_is_named_may_be_hidden_or_for_another_host():
    for changes in ({"hidden": True}, {"alloc_nodes": ("login2",)}):
        partition = replace(OPEN, **changes)
        assert closed(partition, [NODE], ME, 1)
        assert closed(partition, [NODE], ME, 1, named=True) is None


@pytest.mark.parametrize(
    "state", ["DOWN", "DOWN*", "IDLE*", "IDLE+DRAIN", "MIXED+DRAIN", "ALLOCATED+MAINT", "UNKNOWN"]
)
def test_a_partition_whose_nodes_are_all_out_of_use(state: str):
    out = replace(NODE, state=state, reason="bad fan")
    answer = access(OPEN, [out], ME, BOTH, gpus=1)
    assert isinstance(answer, str)
    assert "no node with GPUs in use: g1 is" in answer
    assert answer.endswith("bad fan")
    # One in use is enough; one without a GPU is not.
    assert isinstance(access(OPEN, [out, replace(NODE, name="g2")], ME, BOTH, gpus=1), Access)
    without = replace(NODE, name="c1", gpus={})
    assert isinstance(access(OPEN, [out, without], ME, BOTH, gpus=1), str)
    assert isinstance(access(OPEN, [out, without], ME, BOTH, gpus=0), Access)


@pytest.mark.parametrize(
    "state",
    ["IDLE", "MIXED", "ALLOCATED", "IDLE+CLOUD+POWERED_DOWN", "MIXED+PLANNED", "COMPLETING"],
)
def test_a_node_that_is_busy_or_asleep_is_in_use(state: str):
    assert replace(NODE, state=state).out == ""


def test_another_account_or_qos_where_the_default_one_is_not_taken():
    answer = judge(replace(OPEN, allow_accounts=("side",)))
    assert isinstance(answer, Access)
    assert (answer.account, answer.default_account, answer.qos) == ("side", False, None)
    answer = judge(replace(OPEN, allow_qos=("high",)))
    assert isinstance(answer, Access)
    assert (answer.account, answer.qos) == ("lab", "high")


def test_the_qos_that_a_job_gets_by_itself():
    alone = replace(BOTH, associations=(Association("lab", True, qos=("mine",)),))
    answer = judge(replace(OPEN, allow_qos=("mine",)), alone)
    assert isinstance(answer, Access)
    assert (answer.qos, answer.qos_by_default) == (None, "mine")
    # Of several none is the default, and `normal`, which a job would get, is not among them.
    several = replace(BOTH, associations=(Association("lab", True, qos=("a", "b")),))
    answer = judge(OPEN, several)
    assert isinstance(answer, Access)
    assert answer.qos == "a"


def test_an_association_for_one_partition_alone():
    only = replace(BOTH, associations=(Association("lab", True, partition="cpu"),))
    assert "cpu" in str(judge(OPEN, only))
    here = replace(BOTH, associations=(Association("lab", True, partition="gpu"),))
    assert isinstance(judge(OPEN, here), Access)


def test_lists_of_accounts_take_in_the_accounts_below_where_slurm_does():
    partition = replace(OPEN, allow_accounts=("faculty",))
    parents = {"lab": "faculty", "faculty": "root"}
    for version, admits in (("22.05.8", False), ("25.05.1", True)):
        config = {"SLURM_VERSION": version, "AccountingStorageEnforce": "associations"}
        accounting = Accounting.of(config, (LAB,), {}, parents)
        assert isinstance(judge(partition, accounting), Access) == admits


@pytest.mark.parametrize(
    ("partition_min", "of_qos", "of_user", "limit", "whose"),
    [
        (600, None, None, 600, "partition gpu"),
        (600, 60, None, 60, "the QOS normal"),
        (600, 60, 30, 30, "your association with lab"),
        (None, None, None, None, "partition gpu"),
        (None, None, 30, 30, "your association with lab"),
    ],
)
def test_the_shortest_limit_counts(
    partition_min: int | None, of_qos: int | None, of_user: int | None, limit: int, whose: str
):
    user = replace(LAB, max_wall_min=of_user, max_submit=50)
    accounting = replace(BOTH, associations=(user,), qos={"normal": Qos(of_qos, 40)})
    answer = judge(replace(OPEN, limit_min=partition_min), accounting)
    assert isinstance(answer, Access)
    assert (answer.limit_min, answer.limit_of, answer.max_submit) == (limit, whose, 40)
    loose = replace(accounting, enforced=frozenset({"associations"}))
    answer = judge(replace(OPEN, limit_min=partition_min), loose)
    assert isinstance(answer, Access)
    assert answer.limit_min == partition_min


def test_without_an_association():
    nobody = Accounting(frozenset({"associations"}))
    assert "you have none" in str(judge(OPEN, nobody))
    assert isinstance(judge(OPEN, replace(nobody, trouble="gives no answer")), Access)
    without = Accounting()
    assert isinstance(judge(OPEN, without), Access)
    assert "only jobs of the account(s) vip (" in str(
        judge(replace(OPEN, allow_accounts=("vip",)), without)
    )
    assert "only jobs of the QOS high (" in str(judge(replace(OPEN, allow_qos=("high",)), without))
