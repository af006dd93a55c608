"""What the doctor says of clusters: real ones, whose answers were recorded, and changed ones."""

import json
import re
import shlex
import string
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from snakemake_interface_executor_plugins.utils import format_cli_arg
from tests.unit.settings import PAPER

from w2dual.__main__ import main
from w2dual.cluster.access import Access, Accounting
from w2dual.cluster.doctor import (
    checks,
    examination,
    profile,
    queue,
    request,
    weights,
)
from w2dual.cluster.doctor import (
    probe as doctor_probe,
)
from w2dual.cluster.doctor.checks import Answer, Finding, Level, Setting, verdict
from w2dual.cluster.facts import Association, Node, Partition
from w2dual.config.places import IMAGE_WEIGHTS
from w2dual.config.reader import merge
from w2dual.records import InputError

RECORDED = Path(__file__).parents[2] / "recorded"
ROOT = Path(__file__).parents[4]
GPU = Partition("gpu", default=True, up=True, limit_min=60, preempt_mode="OFF")
NODE = Node("g1", ("gpu",), cpus=16, memory_mb=64000, gpus={"": 2}, state="IDLE")
NO = Answer(1, err="sbatch: error: no")
THERE = Access(GPU, limit_min=60, limit_of="partition gpu")


class Replay:
    """Answers commands as a recorded cluster did; `changes` replace texts in all answers."""

    def __init__(self, name: str, *changes: tuple[str, str]) -> None:
        text = (RECORDED / f"{name}.json").read_text()
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        self.answers = json.loads(text)
        self.asked: list[list[str]] = []

    def __call__(self, *words: str, timeout_s: float = 0.0) -> Answer:
        """Answer as the cluster did; asked again, as it did then, and at last ever the same."""
        loose = ("--output=", "--wrap=", "name=")
        key = [word.partition("=")[0] if word.startswith(loose) else word for word in words]
        same = [record for record in self.answers if record["words"] == key]
        if not same:
            raise AssertionError(f"not recorded: {key}")
        record = same[min(self.asked.count(key), len(same) - 1)]
        self.asked.append(key)
        for word in words:
            if word.startswith("--output=") and "output" in record:
                Path(word.removeprefix("--output=")).write_text(record["output"])
        return Answer(record["code"], record["out"], record["err"])


def look(run: Any, monkeypatch: pytest.MonkeyPatch, **arguments: Any) -> dict[str, Finding]:
    """Let the doctor look, at the root of the checkout; gives findings by their check."""
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("W2BENCHMARK_MIRROR", raising=False)
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    monkeypatch.setattr(doctor_probe, "LOOK_S", 0.0)
    given = {"partition": None, "no_probe": True, "probe_wait": 1, "profile": Path("slurm")}
    findings = examination.examine(PAPER, examination.Asked(**(given | arguments)), run)
    return {finding.check: finding for finding in findings}


def settings(findings: dict[str, Finding]) -> dict[str, Any]:
    return {".".join(s.path): s.value for f in findings.values() for s in f.settings}


def test_a_machine_with_nothing(monkeypatch: pytest.MonkeyPatch):
    found = look(lambda *_, **__: Answer(127), monkeypatch)
    assert not verdict(list(found.values()))
    assert found["SLURM"].level == Level.FAIL
    assert "profiles/cpu" in found["SLURM"].remedy
    assert found["TeX"].level == Level.FAIL
    assert "everything_but_pdf" in found["TeX"].remedy
    assert "unknown" in found["file system"].text
    assert settings(found) == {}
    assert all(f.remedy for f in found.values() if f.level == Level.FAIL)


def test_a_cluster_with_accounting(monkeypatch: pytest.MonkeyPatch):
    found = look(Replay("accounting"), monkeypatch, no_probe=False)
    assert "sacct works" in found["job states"].text
    written = settings(found)
    assert written["slurm-status-command"] == "squeue"
    assert written["slurm-init-seconds-before-status-checks"] == 30
    assert written["set-resources.train.slurm_partition"] == "'gpu'"
    assert written["config.site_runtime_min"] == 2880
    assert written["config.site_memory_mb"] == 16000
    assert "set-resources.train.gres" not in written
    assert found["GPUs"].level == Level.OK
    assert found["probe job"].level < Level.FAIL
    assert verdict(list(found.values()))


def test_a_cluster_without_accounting(monkeypatch: pytest.MonkeyPatch):
    found = look(Replay("no-accounting"), monkeypatch)
    assert "sacct is only present: accounting_storage/none" in found["job states"].text
    assert settings(found)["slurm-status-command"] == "squeue"
    assert verdict(list(found.values()))


def test_a_cluster_whose_gpus_are_reached_by_gres_alone(monkeypatch: pytest.MonkeyPatch):
    found = look(Replay("gres-only"), monkeypatch)
    written = settings(found)
    assert written["set-resources.train.gres"] == "'gpu:1'"
    assert written["set-resources.train.gpu"] == 0
    assert verdict(list(found.values()))


def test_a_partition_shorter_than_the_longest_cell(monkeypatch: pytest.MonkeyPatch):
    """1440 min, 10 of them to start, in jobs of 60 - 10: 29 of them, and 5 retries more."""
    found = look(Replay("short-limit"), monkeypatch)
    assert found["time limit"].level == Level.NOTE
    assert "takes 29 jobs" in found["time limit"].text
    assert settings(found)["retries"] == 28 + 5
    assert settings(found)["config.site_runtime_min"] == 60
    assert verdict(list(found.values()))


def test_jobs_that_nobody_remembers(monkeypatch: pytest.MonkeyPatch):
    """MinJobAge of 30 s, and no accounting."""
    found = look(Replay("short-memory-of-jobs"), monkeypatch)
    assert found["job states"].level == Level.FAIL
    assert "MinJobAge=300" in found["job states"].remedy
    assert not verdict(list(found.values()))


def test_a_short_memory_of_jobs_with_accounting():
    config = {"MinJobAge": "30 sec", "AccountingStorageType": "accounting_storage/slurmdbd"}
    found = checks.status_command(config, Answer(0))
    assert [s.value for s in found.settings] == ["sacct"]
    assert found.level == Level.NOTE


def test_a_sacct_that_hangs_is_no_sacct():
    config = {"MinJobAge": "30 sec", "AccountingStorageType": "accounting_storage/slurmdbd"}
    found = checks.status_command(config, Answer(124))
    assert found.level == Level.FAIL
    assert "gives no answer" in found.text


@pytest.mark.parametrize(
    ("mode", "partition", "level"),
    [("OFF", "OFF", 0), ("REQUEUE", "OFF", 0), ("CANCEL", "OFF", 2), ("REQUEUE", "CANCEL", 2)],
)
def test_preemption(mode: str, partition: str, level: int):
    where = Partition("gpu", True, True, 60, partition)
    found = request.requeue({"PreemptMode": mode, "JobRequeue": "0"}, where)
    assert found.level == level
    assert bool(found.remedy) == (level == 2)


def accesses(*partitions: Partition) -> dict[str, Access | str]:
    return {p.name: Access(p, limit_min=p.limit_min) for p in partitions}


def test_the_partition_with_the_longest_limit_that_has_gpus():
    cpu, short, long, closed = partitions = [
        Partition("cpu", True, True, None, "OFF"),
        Partition("short", False, True, 60, "OFF"),
        Partition("long", False, True, 600, "OFF"),
        Partition("closed", False, False, 6000, "OFF"),
    ]
    nodes = [
        Node("g", ("short", "long", "closed"), 8, 1000, {"": 1}, "IDLE"),
        Node("c", ("cpu",), 8, 1000, {}, "IDLE"),
    ]
    found = accesses(cpu, short, long) | {"closed": "why"}

    def choose(asked: str | None, gpus: int = 1, nodes: Any = nodes) -> tuple[Any, Finding]:
        best, finding = queue.choose_partition(partitions, nodes, found, asked, gpus)
        return best and best.partition, finding

    assert choose(None)[0] == long
    assert choose("short")[0] == short
    assert choose(None, gpus=0)[0] == cpu
    none, finding = choose("none")
    assert none is None
    assert "short (60 min, GPUs)" in finding.remedy
    none, finding = choose("closed")
    assert (none, finding.level, finding.text) == (None, Level.FAIL, "closed: why")
    none, finding = choose("cpu")
    assert (none, finding.level) == (None, Level.FAIL)
    assert "cpu: none of its nodes has a GPU" in finding.text
    none, finding = choose(None, nodes=nodes[1:])
    assert (none, finding.level) == (None, Level.FAIL)
    # What another account would pay for is the second choice.
    found["long"] = Access(long, "another", default_account=False, limit_min=600)
    assert choose(None)[0] == short
    (finding,) = queue.left_out(found | {"closed": "why", "cpu": "why"})
    assert (finding.level, finding.text) == (Level.NOTE, "cpu, closed: why")


CPU = Partition("cpu", True, True, 240, "OFF")
NODES = [NODE, Node("c1", ("cpu",), cpus=4, memory_mb=8000, gpus={}, state="IDLE")]
LIGHT = queue.Wanted(4000, 1, 180)
PREPARE = queue.Wanted(6000, 2, 200)


def others(
    found: dict[str, Access | str],
    light: queue.Wanted = LIGHT,
    prepare: queue.Wanted = PREPARE,
    training: Access = THERE,
) -> tuple[str, dict[str, Any]]:
    best, finding = queue.choose_others(found, NODES, training, light, prepare)
    return best.partition.name, {".".join(s.path): s.value for s in finding.settings}


def test_other_jobs_go_to_the_default_partition_where_it_takes_them():
    found = accesses(CPU, GPU)
    assert others(found) == ("cpu", {})
    to_gpu = {"set-resources.prepare.slurm_partition": "'gpu'"}
    assert others(found, prepare=replace(PREPARE, memory_mb=9000)) == ("cpu", to_gpu)
    assert others(found, prepare=replace(PREPARE, gpus=1)) == ("cpu", to_gpu)


@pytest.mark.parametrize(
    ("found", "light"),
    [
        ({"cpu": "closed"}, LIGHT),
        ({"cpu": Access(CPU, limit_min=30)}, LIGHT),
        ({"cpu": Access(CPU, limit_min=240)}, replace(LIGHT, memory_mb=9000)),
        ({"cpu": Access(replace(CPU, max_memory_mb=1000))}, LIGHT),
        ({}, LIGHT),
    ],
)
def test_other_jobs_go_elsewhere_where_it_does_not(found: Any, light: queue.Wanted):
    gpu = replace(THERE, partition=replace(GPU, default=False))
    where, settings = others(found | {"gpu": gpu}, light=light, training=gpu)
    assert where == "gpu"
    assert settings["default-resources.slurm_partition"] == "'gpu'"


def test_rules_that_need_another_account_or_qos_than_all_others_get_it():
    training = Access(GPU, "side", False, "high", limit_min=60, limit_of="partition gpu")
    lab = Access(CPU, "lab", limit_min=240)
    _, settings = others({"cpu": lab, "gpu": "closed"}, training=training)
    for rule in queue.GPU_RULES:
        assert settings[f"set-resources.{rule}.slurm_account"] == "'side'"
        assert settings[f"set-resources.{rule}.qos"] == "'high'"
    assert "set-resources.prepare.qos" not in settings
    # Where all other jobs ask for a QOS, the rules ask for the one that they would get.
    low = replace(lab, qos="low")
    _, settings = others({"cpu": low}, training=replace(training, account="lab", qos=None))
    assert settings["default-resources.qos"] == "'low'"
    assert settings["set-resources.train.qos"] == "'normal'"


def test_a_limit_that_a_cell_fits_into_needs_no_more_retries():
    found = request.time_limit(THERE, 50, "a cell", 10)
    assert found.level == Level.OK
    assert [s.path[-1] for s in found.settings] == ["site_runtime_min"]


def test_a_limit_in_which_a_job_hardly_starts():
    short = Access(GPU, limit_min=15, limit_of="the QOS quick")
    found = request.time_limit(short, 50, "a cell", 10)
    assert found.level == Level.FAIL
    assert "the QOS quick allows 15 min" in found.text


@pytest.mark.parametrize(("mb", "cpus", "level"), [(64000, 16, 0), (64001, 16, 2), (1, 17, 2)])
def test_memory_and_processors_of_the_largest_node(mb: int, cpus: int, level: int):
    wanted = queue.Wanted(mb, cpus, 60, 1)
    assert request.memory(GPU, [NODE], wanted).level == level


def test_memory_and_processors_of_one_node_that_is_in_use():
    wanted = queue.Wanted(60000, 12, 60, 1)
    large = replace(NODE, name="g2", cpus=8)
    many = replace(NODE, name="g3", memory_mb=8000)
    assert request.memory(GPU, [large, many], wanted).level == Level.FAIL
    assert request.memory(GPU, [NODE, large], wanted).level == Level.OK
    drained = replace(NODE, state="IDLE+DRAIN")
    assert request.memory(GPU, [drained, large], wanted).level == Level.FAIL
    found = request.memory(GPU, [replace(drained, memory_mb=10**6), NODE], wanted)
    assert found.settings[0].value == 64000
    allowed = replace(GPU, max_memory_mb=50000)
    assert request.memory(allowed, [NODE], wanted).level == Level.FAIL


def test_gpus_that_nothing_asks_for():
    found = request.gpu_request(NO, NO, [NODE])
    assert found.level == Level.FAIL
    assert "sbatch: error: no" in found.text
    refused = request.gpu_request(NO, NO, [NODE], without=NO)
    assert "without a GPU either" in refused.text


def test_each_rule_that_asks_for_a_gpu_does_so_in_the_way_that_works():
    found = request.gpu_request(NO, Answer(0), [NODE], ("train", "prepare"))
    assert {s.path[1] for s in found.settings if s.path[-1] == "gres"} == {"train", "prepare"}


def test_several_models_of_gpu():
    mixed = Node("g1", ("gpu",), 16, 64000, {"a100": 2, "h100": 2}, "IDLE")
    found = request.gpu_request(Answer(0), NO, [mixed])
    assert found.level == Level.NOTE
    assert "a100, h100" in found.text


def test_a_job_gets_a_whole_card_where_the_site_shares_cards_out():
    found = request.gpu_request(Answer(0), NO, [replace(NODE, parts=("shard",)), NODE])
    assert found.level == Level.NOTE
    assert "a whole card" in found.text
    assert "(shard)" in found.text
    assert found.settings == ()
    assert request.gpu_request(Answer(0), NO, [NODE]).level == Level.OK


def test_accounts_and_the_queue():
    config = {"MaxJobCount": "10000"}
    physics = Association("physics", True, max_submit=50)
    enforced = Accounting(frozenset({"associations", "limits"}), (physics,))
    access = Access(GPU, "physics", max_submit=50)
    found = request.account(config, enforced, access, 128)
    values = {s.path: s.value for s in found.settings}
    assert values == {("jobs",): 50, ("default-resources", "slurm_account"): "'physics'"}
    assert found.level == Level.OK
    nobody = Accounting(frozenset({"limits"}))
    assert request.account(config, nobody, None, 128).level == Level.FAIL
    assert request.account({}, Accounting(), Access(GPU), 128).settings == ()
    silent = replace(nobody, trouble="gives no answer")
    found = request.account(config, silent, Access(GPU), 128)
    assert (found.level, "gives no answer" in found.text) == (Level.NOTE, True)
    # Not enforced, the default one needs no word; another does.
    free = Accounting(frozenset(), (physics, Association("side")))
    assert request.account({}, free, Access(GPU, "physics"), 128).settings == ()
    found = request.account({}, free, Access(GPU, "side", False), 128)
    assert [s.value for s in found.settings] == ["'side'"]
    assert found.level == Level.NOTE


def test_a_request_is_what_the_site_file_has():
    wanted = queue.Wanted(6000, 2, 1440, 1)
    access = Access(GPU, "lab", qos="high", limit_min=60)
    assert request.request(access, True, wanted) == (
        "--account=lab",
        "--partition=gpu",
        "--qos=high",
        "--time=60",
        "--mem=6000",
        "--cpus-per-task=2",
    )
    assert request.request(replace(THERE, limit_min=None), False, wanted) == (
        "--partition=gpu",
        "--time=1440",
        "--mem=6000",
        "--cpus-per-task=2",
    )


@pytest.mark.parametrize(
    ("kind", "nodes", "level"), [("ext2/ext3", 1, 0), ("xfs", 2, 2), ("nfs", 9, 0)]
)
def test_file_systems(kind: str, nodes: int, level: int):
    assert checks.file_system(kind + "\n", nodes).level == level


def test_disk():
    assert checks.disk(4999.0, "/here").level == Level.FAIL
    assert checks.disk(5000.0, "/here").level == Level.OK


def test_benchmark_files():
    def level(missing: list[str], *sources: str) -> Level:
        return checks.published_files("files", missing, 16, "/m", sources, "Mix3toMix10").level

    missing = ["Mix3toMix10/256_v1.pt"]
    assert level([], "mirror") == Level.OK
    assert level(missing, "mirror", "download") == Level.NOTE
    assert level(missing, "mirror", "generated") == Level.NOTE
    assert level(missing, "mirror") == Level.FAIL


def test_packages():
    assert checks.packages({"snakemake": "9.27.1"}).level == Level.OK
    found = checks.packages({"snakemake": "9.27.1", "plugin": None})
    assert (found.level, "plugin" in found.text) == (Level.FAIL, True)


def seen(**changes: str) -> Answer:
    line = {"host": "g1", "job": "7", "jax": "0.9", "platform": "gpu", "device": "A GPU"} | changes
    return Answer(0, "a module says hello\n" + json.dumps(line) + "\n")


def test_a_probe_on_a_measured_gpu_sets_the_device():
    found = doctor_probe.judge(seen(), 1, ["A GPU"], None)
    assert [(s.path[-1], s.value) for s in found.settings] == [("site_device", "A GPU")]
    assert doctor_probe.judge(seen(), 1, [], None).level == Level.NOTE


def test_a_probe_that_sees_no_gpu():
    cpu = seen(platform="cpu", device="CPU: x")
    assert doctor_probe.judge(cpu, 1, [], None).level == Level.FAIL
    assert doctor_probe.judge(cpu, 1, [], "cpu").level == Level.NOTE
    assert doctor_probe.judge(cpu, 0, [], None).level == Level.OK


def test_a_probe_that_did_not_run():
    found = doctor_probe.judge(
        Answer(1, "", "sbatch: error: Batch job submission failed"), 1, [], None
    )
    assert found.level == Level.FAIL
    assert "Batch job submission failed" in found.text
    assert doctor_probe.judge(seen(error="No module named 'jax'"), 1, [], None).level == Level.FAIL


# ---------------------------------------------------------------- clusters that refuse


def test_two_clusters_in_one_database_and_partitions_that_are_of_no_use(
    monkeypatch: pytest.MonkeyPatch,
):
    """Recorded as a user who is not root, and whose account on the other cluster is lab_far."""
    monkeypatch.chdir(ROOT)
    run = Replay("two-clusters")
    given = examination.Asked(no_probe=True, probe_wait=1)
    findings = examination.examine(PAPER, given, run)
    found = {finding.check: finding for finding in findings}
    written = settings(found)
    assert written["default-resources.slurm_account"] == "'lab_here'"
    assert "lab_far" not in found["account"].text
    assert written["set-resources.train.slurm_partition"] == "'gpu'"
    told = {name: f.text for f in findings if f.check == "left out" for name in names_of(f)}
    expected = {
        "bigmem_vip": "only jobs of the account(s) vip (AllowAccounts); yours: lab_here, lab_too",
        "denied": "DenyAccounts",
        "closed": "State=DOWN",
        "draining": "State=DRAIN",
        "inactive": "State=INACTIVE",
        "drained": "far is drained: bad fan",
        "hidden": "Hidden=YES",
        "root_only": "RootOnly",
        "reserved": "ReqResv",
        "other_qos": "only jobs of the QOS other (AllowQos); yours: normal, high",
        "no_normal": "DenyQos",
        "members": "only jobs of the group(s) adm (AllowGroups); yours: nogroup",
        "from_login7": "login7",
    }
    assert told.keys() == expected.keys()
    for name, why in expected.items():
        assert why in told[name], name
    # Submitted with what is written, and with nothing else.
    tested = next(key for key in run.asked if "--test-only" in key)
    assert {"--account=lab_here", "--partition=gpu", "--time=1440", "--mem=16000"} <= set(tested)
    # A partition by name, one that takes another of the user's accounts.
    found = look(run_without_gpu_tests(run), monkeypatch, partition="for_too")
    assert settings(found)["set-resources.train.slurm_account"] == "'lab_too'"
    assert settings(found)["default-resources.slurm_account"] == "'lab_here'"
    found = look(run_without_gpu_tests(run), monkeypatch, partition="for_high")
    assert settings(found)["set-resources.train.qos"] == "'high'"
    found = look(run_without_gpu_tests(run), monkeypatch, partition="short_qos")
    assert settings(found)["config.site_runtime_min"] == 30
    assert "the QOS half_hour has 30 min" in found["time limit"].text
    found = look(run, monkeypatch, partition="bigmem_vip")
    assert found["partition"].level == Level.FAIL
    assert "only jobs of the account(s) vip (" in found["partition"].text
    assert not verdict(list(found.values()))


def names_of(finding: Finding) -> list[str]:
    return finding.text.partition(":")[0].split(", ")


def run_without_gpu_tests(run: Replay) -> Any:
    """Take any request: only those of the partition that doctor chose were recorded."""
    return lambda *words, **_: Answer(0) if "--test-only" in words else run(*words)


def test_a_busy_cluster_is_no_fault(monkeypatch: pytest.MonkeyPatch):
    run = Replay("busy")
    found = look(run, monkeypatch, no_probe=False, partition="gpu")
    probe = found["probe job"]
    assert probe.level == Level.NOTE
    assert "pending for 1 s" in probe.text
    assert "Resources; SLURM expects a start at " in probe.text
    assert "--probe-wait" in probe.remedy
    assert verdict([f for f in found.values() if f.check != "file system"])
    # Its time is cut, so that it fits in before others; and it does not stay in the queue.
    update, scancel = (
        next(key for key in run.asked if word in key) for word in ("update", "scancel")
    )
    assert update == ["scontrol", "update", f"JobId={scancel[1]}", "TimeLimit=2"]


def test_an_account_without_a_share_is_a_fault(monkeypatch: pytest.MonkeyPatch):
    run = Replay("no-share")
    found = look(run, monkeypatch, no_probe=False, probe_wait=600, partition="gpu")
    probe = found["probe job"]
    assert probe.level == Level.FAIL
    assert "AssocGrpGRES" in probe.text
    assert "--account=lab_here --partition=gpu" in probe.remedy
    assert [key for key in run.asked if key[0] == "scancel"]


@pytest.mark.parametrize(
    "reason",
    [
        "PartitionConfig",
        "PartitionTimeLimit",
        "PartitionNodeLimit",
        "PartitionDown",
        "PartitionInactive",
        "AccountNotAllowed",
        "InvalidAccount",
        "QOSNotAllowed",
        "InvalidQOS",
        "BadConstraints",
        "ReqNodeNotAvail,_UnavailableNodes:far",
        "AssocGrpGRES",
        "AssocGrpCPUMinutesLimit",
        "AssocMaxWallDurationPerJobLimit",
        "QOSMaxWallDurationPerJobLimit",
        "QOSMaxGRESPerJob",
        "QOSMinGRES",
        "QOSGrpCPUMinutesLimit",
        "JobHeldAdmin",
        "Job's_account_not_permitted_to_use_this_partition_(bigmem_vip_allows_vip_not_lab_here)",
        "Job's_QOS_not_permitted_to_use_this_partition_(qosed_allows_high_not_normal)",
    ],
)
def test_reasons_that_no_waiting_resolves(reason: str):
    assert doctor_probe.never(reason)


@pytest.mark.parametrize(
    "reason",
    [
        "Priority",
        "Resources",
        "BeginTime",
        "None",
        "",
        "Dependency",
        "Licenses",
        "QOSMaxJobsPerUserLimit",
        "AssocMaxJobsLimit",
        "QOSGrpGRES",
        "ReqNodeNotAvail,_Reserved_for_maintenance",
        "Nodes_required_for_job_are_DOWN,_DRAINED_or_reserved_for_jobs_in_higher_priority_partitions",
    ],
)
def test_reasons_that_do(reason: str):
    assert not doctor_probe.never(reason)


class Queue:
    """A cluster on which the probe goes through these states, the last for ever."""

    def __init__(self, *states: str, writes: str = "", submitted: Answer | None = None) -> None:
        self.states, self.writes = list(states), writes
        self.submitted = submitted or Answer(0, "7\n")
        self.asked: list[tuple[str, ...]] = []

    def __call__(self, *words: str, timeout_s: float = 0.0) -> Answer:
        self.asked.append(words)
        if words[0] == "sbatch":
            output = next(word for word in words if word.startswith("--output="))
            Path(output.removeprefix("--output=")).write_text(self.writes)
            return self.submitted
        if words[:3] == ("scontrol", "show", "job"):
            state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
            return Answer(0, f"JobId=7 {state} StartTime=Unknown\n") if state else Answer(1)
        return Answer(0)


def probed(run: Any, monkeypatch: pytest.MonkeyPatch, folder: Path, wait_s: float = 1) -> Finding:
    monkeypatch.chdir(folder)
    for name in ("LOOK_S", "OUTPUT_S"):
        monkeypatch.setattr(doctor_probe, name, 0.0)
    words = (sys.executable, "-m", "w2dual")
    judge = lambda answer: doctor_probe.judge(answer, 1, ["A GPU"], None)  # noqa: E731
    found = doctor_probe.probe(run, ("--partition=gpu",), words, wait_s, judge)
    assert list(folder.iterdir()) == []
    return found


PENDING = "JobState=PENDING Reason={}"
RUNNING, DONE = "JobState=RUNNING Reason=None", "JobState=COMPLETED Reason=None"


def test_a_probe_that_waits_and_then_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    said = json.dumps({"host": "g1", "job": "7", "jax": "1", "platform": "gpu", "device": "A GPU"})
    # A reason that stays for a moment only is none.
    states = [PENDING.format(why) for why in ("None", "PartitionDown", "Priority")]
    run = Queue(*states, RUNNING, DONE, writes=said)
    found = probed(run, monkeypatch, tmp_path)
    assert (found.level, [s.value for s in found.settings]) == (Level.OK, ["A GPU"])
    assert not [words for words in run.asked if words[0] == "scancel"]
    # One that SLURM has forgotten has ended too.
    assert probed(Queue(RUNNING, "", writes=said), monkeypatch, tmp_path).level == Level.OK


@pytest.mark.parametrize(
    ("reason", "level"), [("Priority", Level.NOTE), ("PartitionTimeLimit", Level.FAIL)]
)
def test_a_probe_that_does_not_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, reason: str, level: Level
):
    run = Queue(PENDING.format(reason))
    found = probed(run, monkeypatch, tmp_path, wait_s=0.05)
    assert (found.level, reason in found.text) == (level, True)
    assert run.asked[-1] == ("scancel", "7")


def test_a_probe_that_is_refused_or_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    run = Queue(DONE, submitted=Answer(1, "", "sbatch: error: Invalid account"))
    found = probed(run, monkeypatch, tmp_path)
    assert (found.level, "Invalid account" in found.text) == (Level.FAIL, True)
    assert "`--partition=gpu`" in found.remedy
    run = Queue(RUNNING, "JobState=FAILED Reason=NonZeroExitCode", writes="a\nNo such file: x\n")
    assert "job 7: No such file: x" in probed(run, monkeypatch, tmp_path).text
    run = Queue("JobState=NODE_FAIL Reason=NodeDown")
    assert "printed nothing, and is NODE_FAIL" in probed(run, monkeypatch, tmp_path).text


def test_a_probe_that_never_ends_is_taken_away(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(doctor_probe, "RUNNING_S", 0.0)
    run = Queue(RUNNING)
    assert probed(run, monkeypatch, tmp_path).level == Level.FAIL
    assert run.asked[-1] == ("scancel", "7")


def test_an_interrupt_takes_the_probe_from_the_queue(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    class Interrupted(Queue):
        def __call__(self, *words: str, timeout_s: float = 0.0) -> Answer:
            answer = super().__call__(*words)
            if words[:3] == ("scontrol", "show", "job"):
                raise KeyboardInterrupt
            return answer

    run = Interrupted(RUNNING)
    with pytest.raises(KeyboardInterrupt):
        probed(run, monkeypatch, tmp_path)
    assert run.asked[-1] == ("scancel", "7")


def test_the_probes_words_survive_a_path_with_a_space(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setattr(sys, "executable", "/a b/it's/python")
    run = Queue(DONE, writes="x")
    probed(run, monkeypatch, tmp_path)
    (wrap,) = [w.removeprefix("--wrap=") for w in run.asked[0] if w.startswith("--wrap=")]
    assert shlex.split(wrap)[0] == "/a b/it's/python"


def test_what_an_earlier_probe_found_stays_while_this_one_waits(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    base = (ROOT / "slurm" / "config.yaml").read_text()
    (tmp_path / "config.yaml").write_text(base)
    device = Setting(("config", "site_device"), "NVIDIA H100 80GB HBM3", "it ran there")
    site = profile.compose(base, None, [device], "A heading.")
    (tmp_path / profile.NAME).write_text(site)
    for name, no_probe in (("busy", False), ("busy", True)):
        given: dict[str, Any] = {"no_probe": no_probe, "profile": tmp_path, "partition": "gpu"}
        found = look(Replay(name), monkeypatch, probe_wait=0, **given)
        assert settings(found)["config.site_device"] == "NVIDIA H100 80GB HBM3"


# ---------------------------------------------------------------- where doctor and jobs run


def test_within_a_job_it_says_so(monkeypatch: pytest.MonkeyPatch):
    job = {"SLURM_JOB_ID": "7", "SLURM_CPUS_ON_NODE": "2", "SLURM_CONF": "/etc/slurm.conf"}
    (found,) = checks.within_job(job | {"CUDA_VISIBLE_DEVICES": "0"}, "g1")
    assert found.level == Level.NOTE
    assert "within SLURM job 7 on g1 (CPUs 2, GPUs 0)" in found.text
    assert "login node" in found.remedy
    assert checks.within_job({}, "g1") == []
    for name, value in job.items():
        monkeypatch.setenv(name, value)
    # What SLURM has set for that job is no option of the jobs that are tried.
    printed = examination.command("env").out
    assert "SLURM_CPUS_ON_NODE" not in printed
    assert "SLURM_CONF=/etc/slurm.conf" in printed
    monkeypatch.chdir(ROOT)
    given = examination.Asked(no_probe=True, probe_wait=1)
    findings = examination.examine(PAPER, given, Replay("accounting"))
    assert "where this runs" in [finding.check for finding in findings]


def arrives(words: str, path: str) -> bool:
    """Whether a path is one word after the two shells that the plugin hands a command to.

    First the shell in which it calls sbatch, with the command in double quotes; then the one that
    runs the batch script, in which the job's own step is put together in the same way once more.
    """
    escaped = words.replace('"', '\\"')
    first = subprocess.run(
        ["sh", "-c", f'printf "%s" "{escaped}"'], capture_output=True, text=True, check=False
    )
    show = "show() { for word; do printf '%s\\0' \"$word\"; done; }; show "
    seen = []
    for script in (first.stdout, words):
        done = subprocess.run(
            ["sh", "-c", show + script], capture_output=True, text=True, check=False, cwd="/"
        )
        seen.append(done.stdout.split("\0"))
    return first.returncode == 0 and all(path in words for words in seen)


AWKWARD = [*string.punctuation.replace("/", ""), " ", "\t", "\u00a0", "é", "'\"", "a' b"]


@pytest.mark.parametrize("character", AWKWARD)
def test_which_paths_the_plugin_can_hand_on(character: str):
    path = f"/x/a{character}b/python"
    python = checks.paths(path, "/checkout", "/home/me")
    assert (python.level == Level.OK) == arrives(path, path) or not character.isprintable()
    if character == "%":  # which is a matter of sbatch's, and not of shells
        return
    checkout = checks.paths("/usr/bin/python", path, "/home/me")
    assert (checkout.level == Level.OK) == arrives(format_cli_arg("--snakefile", path), path)
    home = checks.paths("/usr/bin/python", "/checkout", path)
    assert home.level == checkout.level


def test_paths_say_what_is_wrong_with_them():
    found = checks.paths("/my w2dual/.venv/bin/python", "/my w2dual", "/home/me")
    assert found.level == Level.FAIL
    assert "/my w2dual/.venv/bin/python, has a space" in found.text
    assert "snakemake-executor-plugin-slurm" in found.text
    assert "move the checkout" in found.remedy
    # The log's name is a pattern to sbatch.
    assert checks.paths("/p", "/100%job", "/home").level == Level.FAIL
    assert checks.paths("/p", "/100%_of_it", "/home").level == Level.OK


# ---------------------------------------------------------------- the site file

BASE = """\
# The profile.
executor: slurm
jobs: 128     # jobs
retries: 5
default-resources:
  runtime: 30
  slurm_extra: "'--signal=USR1@120'"
"""
TWO = [
    Setting(("retries",), 9, "the longest cell takes 5 jobs"),
    Setting(("config", "site_runtime_min"), 60, "the limit"),
]


def test_a_new_site_file_is_the_profile_with_reasons():
    text = profile.compose(BASE, None, TWO, "A heading.")
    assert yaml.safe_load(text) == {
        "executor": "slurm",
        "jobs": 128,
        "retries": 9,
        "default-resources": {"runtime": 30, "slurm_extra": "'--signal=USR1@120'"},
        "config": {"site_runtime_min": 60},
    }
    assert "# doctor: the longest cell takes 5 jobs\nretries: 9\n" in text
    assert "  # doctor: the limit\n  site_runtime_min: 60\n" in text
    assert profile.compose(BASE, text, TWO, "A heading.") == text


def test_lines_of_the_users_own_stay_and_the_doctors_change():
    text = profile.compose(BASE, None, TWO, "A heading.")
    mine = text.replace("jobs: 128", "jobs: 40").replace("runtime: 30", "runtime: 30\n  qos: big")
    again = [TWO[0], Setting(("config", "site_runtime_min"), 120, "a longer limit")]
    amended = profile.compose(BASE, mine, again, "A heading.")
    values = yaml.safe_load(amended)
    assert (values["jobs"], values["default-resources"]["qos"]) == (40, "big")
    assert values["config"] == {"site_runtime_min": 120}
    assert "# yours, from this file as it was\njobs: 40" in amended


def test_a_line_of_the_doctors_that_the_user_changed_is_the_users():
    text = profile.compose(BASE, None, TWO, "A heading.")
    mine = text.replace("retries: 9", "retries: 99")
    amended = profile.compose(BASE, mine, TWO, "A heading.")
    assert yaml.safe_load(amended)["retries"] == 99
    assert "the doctor would write 9, since the longest cell takes 5 jobs" in amended


def test_what_the_doctor_no_longer_finds_goes():
    text = profile.compose(BASE, None, TWO, "A heading.")
    amended = profile.compose(BASE, text, TWO[:1], "A heading.")
    assert "config" not in yaml.safe_load(amended)


@pytest.mark.parametrize("text", ["- a\n- b\n", "a: [\n", "# doctor wrote: {\na: 1\n"])
def test_a_site_file_that_cannot_be_read_is_named(text: str):
    with pytest.raises(InputError, match=re.escape("config.v9+.yaml")):
        profile.compose(BASE, text, TWO, "A heading.")


def test_a_mirror_that_is_named_and_not_there_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """As the jobs will find it: the same function looks."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("W2BENCHMARK_MIRROR", "weights")
    found = weights.benchmark(PAPER)
    assert found.level == Level.FAIL
    assert "mirror weights (named by W2BENCHMARK_MIRROR): there is no such folder" in found.text
    assert weights.images(PAPER).text == found.text
    (tmp_path / "weights" / "Mix3toMix10").mkdir(parents=True)
    assert "holds no weights" in weights.benchmark(PAPER).text
    for version in ("v1", "v2"):
        (tmp_path / "weights" / "Mix3toMix10" / f"2_{version}.pt").touch()
    found = weights.benchmark(PAPER)
    assert found.level == Level.NOTE
    assert f"2 of 16 in {tmp_path / 'weights'}" in found.text


def test_files_of_images_are_looked_for_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("W2BENCHMARK_MIRROR", str(tmp_path))
    config = merge(PAPER, {"measures": {"celeba64": {"sources": ["mirror"]}}})
    folder = tmp_path / IMAGE_WEIGHTS
    folder.mkdir()
    (tmp_path / "Mix3toMix10").mkdir()
    (tmp_path / "Mix3toMix10" / "2_v1.pt").touch()
    names = ["Final_G", *(f"{w}_{v}" for w in ("Early", "Mid", "Late") for v in ("v1", "v2"))]
    for name in names[:-1]:
        (folder / f"{name}.pt").touch()
    found = weights.images(config)
    assert (found.level, found.check) == (Level.FAIL, "CelebA64 files")
    assert found.text == f"6 of 7 in {tmp_path}"
    assert f"holds {IMAGE_WEIGHTS}/*.pt" in found.remedy
    (folder / f"{names[-1]}.pt").touch()
    assert weights.images(config).level == Level.OK
    early = merge(config, {"celeba64": {"generators": ["early"]}})
    assert weights.images(early).text == f"3 of 3 in {tmp_path}"


def test_the_job_writes_amends_and_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("W2BENCHMARK_MIRROR", raising=False)
    monkeypatch.setattr(examination, "command", Replay("short-limit"))
    (tmp_path / "config.yaml").write_text((ROOT / "slurm" / "config.yaml").read_text())
    argv = ["doctor", "--no-probe", "--profile", str(tmp_path)]
    site = tmp_path / "config.v9+.yaml"
    assert main([*argv, "--no-write"]) == 0
    assert not site.exists()
    assert main(argv) == 0
    values = yaml.safe_load(site.read_text())
    assert values["retries"] == 33
    assert values["set-resources"]["train"]["slurm_partition"] == "'gpu'"
    assert main(argv) == 0
    assert "needs no change" in capsys.readouterr().out
    site.write_text(site.read_text().replace("jobs: 128", "jobs: 7"))
    before = site.read_text()
    assert main(argv) == 0
    assert yaml.safe_load(site.read_text())["jobs"] == 7
    assert (tmp_path / "config.v9+.yaml.before").read_text() == before


def test_the_exit_code_says_whether_all_can_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(examination, "command", lambda *_, **__: Answer(127))
    with pytest.raises(SystemExit) as caught:
        main(["doctor", "--profile", str(tmp_path)])
    assert caught.value.code == 1
    assert "CANNOT be expected to run" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []
