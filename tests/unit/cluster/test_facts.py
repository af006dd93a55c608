import pytest

from w2dual.cluster.facts import (
    Association,
    Qos,
    among,
    minutes,
    read_associations,
    read_config,
    read_job,
    read_nodes,
    read_parents,
    read_partitions,
    read_qos,
)

NODES = """\
NodeName=g1 CPUTot=64 Gres=gpu:h100:8(S:0-1),nvme:1 RealMemory=512000 State=IDLE Partitions=gpu,long
NodeName=g2 CPUTot=32 Gres=gpu:a100_3g.20gb:2,gpu:a100:1 RealMemory=256000 State=MIX Partitions=gpu
NodeName=g3 CPUTot=32 Gres=gpu:2 RealMemory=256000 State=DOWN* Partitions=gpu
NodeName=c1 CPUTot=32 Gres=(null) RealMemory=128000 State=IDLE Partitions=cpu
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("01:00:00", 60),
        ("1-12:00:00", 2160),
        ("2-00", 2880),
        ("30:00", 30),
        ("UNLIMITED", None),
        ("NONE", None),
    ],
)
def test_time_limits(text: str, expected: int | None):
    assert minutes(text) == expected


def test_config_keeps_values_with_spaces():
    text = "Configuration data as of 2026\nMinJobAge               = 300 sec\nPluginDir = /a/b\n"
    assert read_config(text) == {"MinJobAge": "300 sec", "PluginDir": "/a/b"}


def test_gpus_of_nodes_by_model():
    gpus = {node.name: node.gpus for node in read_nodes(NODES)}
    assert gpus["g1"] == {"h100": 8}
    assert gpus["g2"] == {"a100_3g.20gb": 2, "a100": 1}
    assert gpus["g3"] == {"": 2}
    assert gpus["c1"] == {}
    shared = NODES.replace("Gres=gpu:h100:8", "Gres=gpu:h100:8,shard:h100:16,mps:100")
    assert shared != NODES
    assert [node.parts for node in read_nodes(shared)][:2] == [("mps", "shard"), ()]
    assert read_nodes(NODES)[0].partitions == ("gpu", "long")


def test_a_partition_that_is_down_is_not_up():
    text = "PartitionName=gpu Default=NO MaxTime=4:00:00 State=DOWN PreemptMode=REQUEUE\n"
    (partition,) = read_partitions(text)
    assert (partition.up, partition.default, partition.limit_min) == (False, False, 240)
    assert partition.preempt_mode == "REQUEUE"


def test_what_a_partition_lets_in():
    text = (
        "PartitionName=gpu AllowGroups=a,b AllowAccounts=Vip,lab AllowQos=ALL "
        "AllocNodes=l[1-2,4],g Default=YES QoS=N/A Hidden=NO MaxTime=4:00:00 MinNodes=0 "
        "RootOnly=YES ReqResv=NO State=UP MaxMemPerNode=64000\n"
        "PartitionName=rest DenyAccounts=lab AllowGroups=ALL DenyQos=low AllocNodes=ALL QoS=cap "
        "Hidden=YES MinNodes=2 RootOnly=NO ReqResv=YES State=UP MaxMemPerNode=UNLIMITED\n"
    )
    gpu, rest = read_partitions(text)
    assert (gpu.allow_groups, gpu.allow_accounts) == (("a", "b"), ("vip", "lab"))
    assert (gpu.allow_qos, gpu.alloc_nodes) == (None, ("l[1-2,4]", "g"))
    assert (gpu.qos, gpu.min_nodes, gpu.max_memory_mb) == ("", 1, 64000)
    assert (gpu.hidden, gpu.root_only, gpu.needs_reservation) == (False, True, False)
    assert (rest.deny_accounts, rest.deny_qos, rest.qos) == (("lab",), ("low",), "cap")
    assert (rest.allow_groups, rest.allow_accounts, rest.alloc_nodes) == (None, None, None)
    assert (rest.hidden, rest.needs_reservation) == (True, True)
    assert (rest.min_nodes, rest.max_memory_mb) == (2, None)


def test_why_a_node_is_out_of_use():
    text = (
        "NodeName=a State=IDLE+DRAIN Partitions=gpu Reason=bad fan [root@2026-01-02T03:04:05]\n"
        "NodeName=b State=DOWN* Partitions=gpu Reason=Not responding\n"
        "NodeName=c State=MIXED Partitions=gpu\n"
    )
    assert [node.out for node in read_nodes(text)] == [
        "drained: bad fan",
        "down and not responding: Not responding",
        "",
    ]


def test_associations_and_their_limits():
    text = "chemistry||||||physics\nphysics|gpu|100|normal,high|high|1-00:00:00|physics\n"
    first, second = read_associations(text)
    assert first == Association("physics", True, "gpu", ("normal", "high"), "high", 100, 1440)
    assert second == Association("chemistry")


def test_qos_parents_and_jobs():
    assert read_qos("normal||\nhigh|12:00:00|40\n") == {"normal": Qos(), "high": Qos(720, 40)}
    assert read_parents("root||\nlab|root|\n") == {"lab": "root"}
    assert read_job("JobId=7 JobName=x Reason=Priority JobState=PENDING\n")["Reason"] == "Priority"
    assert read_job("") == {}


@pytest.mark.parametrize(
    ("host", "listed", "found"),
    [
        ("login1", ("login1",), True),
        ("login12", ("login[01-09,12]",), True),
        ("login9", ("login[01-09]",), False),
        ("n07-a", ("n[01-09]-a", "gate"), True),
        ("gate", ("n[1-2]", "gate"), True),
        ("login", ("login[1-2]",), False),
    ],
)
def test_hosts_in_lists(host: str, listed: tuple[str, ...], found: bool):
    assert among(host, listed) == found
