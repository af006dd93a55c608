import pytest

from w2dual.cluster_facts import (
    minutes,
    read_associations,
    read_config,
    read_nodes,
    read_partitions,
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
    assert read_nodes(NODES)[0].partitions == ("gpu", "long")


def test_a_partition_that_is_down_is_not_up():
    text = "PartitionName=gpu Default=NO MaxTime=4:00:00 State=DOWN PreemptMode=REQUEUE\n"
    (partition,) = read_partitions(text)
    assert (partition.up, partition.default, partition.limit_min) == (False, False, 240)
    assert partition.preempt_mode == "REQUEUE"


def test_associations_without_limits():
    text = "physics||100\nchemistry|gpu|\n"
    assert [row["account"] for row in read_associations(text)] == ["physics", "chemistry"]
    assert [row["max_submit"] for row in read_associations(text)] == ["100", ""]
