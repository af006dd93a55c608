"""What the doctor says of clusters: real ones, whose answers were recorded, and changed ones."""

import argparse
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.unit.settings import PAPER

from w2dual import doctor, doctor_job, doctor_site
from w2dual.__main__ import main
from w2dual.cluster_facts import Node, Partition
from w2dual.doctor import Answer, Finding, Level, Setting, verdict
from w2dual.records import InputError

RECORDED = Path(__file__).parent / "recorded"
ROOT = Path(__file__).parents[2]
GPU = Partition("gpu", default=True, up=True, limit_min=60, preempt_mode="OFF")
NODE = Node("g1", ("gpu",), cpus=16, memory_mb=64000, gpus={"": 2}, state="IDLE")
NO = Answer(1, err="sbatch: error: no")


class Replay:
    """Answers commands as a recorded cluster did; `changes` replace texts in all answers."""

    def __init__(self, name: str, *changes: tuple[str, str]) -> None:
        text = (RECORDED / f"{name}.json").read_text()
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        self.answers = json.loads(text)

    def __call__(self, *words: str, timeout_s: float = 0.0) -> Answer:
        loose = ("--output=", "--wrap=", "user=")
        key = [word.partition("=")[0] if word.startswith(loose) else word for word in words]
        for record in self.answers:
            if record["words"] == key:
                for word in words:
                    if word.startswith("--output=") and "output" in record:
                        Path(word.removeprefix("--output=")).write_text(record["output"])
                return Answer(record["code"], record["out"], record["err"])
        raise AssertionError(f"not recorded: {key}")


def look(run: Any, monkeypatch: pytest.MonkeyPatch, **arguments: Any) -> dict[str, Finding]:
    """Let the doctor look, at the root of the checkout; gives findings by their check."""
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("W2BENCHMARK_MIRROR", raising=False)
    given = {"partition": None, "no_probe": True, "profile": Path("slurm")} | arguments
    findings = doctor_job.examine(PAPER, argparse.Namespace(**given), run)
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
    assert "goes on over 29 jobs" in found["time limit"].text
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
    found = doctor.status_command(config, Answer(0))
    assert [s.value for s in found.settings] == ["sacct"]
    assert found.level == Level.NOTE


def test_a_sacct_that_hangs_is_no_sacct():
    config = {"MinJobAge": "30 sec", "AccountingStorageType": "accounting_storage/slurmdbd"}
    found = doctor.status_command(config, Answer(124))
    assert found.level == Level.FAIL
    assert "gives no answer" in found.text


@pytest.mark.parametrize(
    ("mode", "partition", "level"),
    [("OFF", "OFF", 0), ("REQUEUE", "OFF", 0), ("CANCEL", "OFF", 2), ("REQUEUE", "CANCEL", 2)],
)
def test_preemption(mode: str, partition: str, level: int):
    where = Partition("gpu", True, True, 60, partition)
    found = doctor.requeue({"PreemptMode": mode, "JobRequeue": "0"}, where)
    assert found.level == level
    assert bool(found.remedy) == (level == 2)


def test_the_partition_with_the_longest_limit_that_has_gpus_and_is_up():
    partitions = [
        Partition("cpu", True, True, None, "OFF"),
        Partition("short", False, True, 60, "OFF"),
        Partition("long", False, True, 600, "OFF"),
        Partition("down", False, False, 6000, "OFF"),
    ]
    nodes = [
        Node("g", ("short", "long", "down"), 8, 1000, {"": 1}, "IDLE"),
        Node("c", ("cpu",), 8, 1000, {}, "IDLE"),
    ]
    best, found = doctor.choose_partition(partitions, nodes, None)
    assert best == partitions[2]
    assert doctor.choose_partition(partitions, nodes, "short")[0] == partitions[1]
    assert doctor.choose_partition(partitions, nodes, None, gpus=0)[0] == partitions[0]
    none, found = doctor.choose_partition(partitions, nodes, "none")
    assert none is None
    assert "short (60 min, GPUs)" in found.remedy
    none, found = doctor.choose_partition(partitions, nodes[1:], None)
    assert (none, found.level) == (None, Level.FAIL)


def test_a_limit_that_a_cell_fits_into_needs_no_more_retries():
    found = doctor.time_limit(GPU, 50, "a cell", 10)
    assert found.level == Level.OK
    assert [s.path[-1] for s in found.settings] == ["site_runtime_min"]


def test_a_limit_in_which_a_job_hardly_starts():
    short = Partition("gpu", True, True, 15, "OFF")
    assert doctor.time_limit(short, 50, "a cell", 10).level == Level.FAIL


@pytest.mark.parametrize(("mb", "cpus", "level"), [(64000, 16, 0), (64001, 16, 2), (1, 17, 2)])
def test_memory_and_processors_of_the_largest_node(mb: int, cpus: int, level: int):
    assert doctor.memory(GPU, [NODE], mb, cpus).level == level


def test_gpus_that_nothing_asks_for():
    found = doctor.gpu_request(NO, NO, [NODE])
    assert found.level == Level.FAIL
    assert "sbatch: error: no" in found.text


def test_several_models_of_gpu():
    mixed = Node("g1", ("gpu",), 16, 64000, {"a100": 2, "h100": 2}, "IDLE")
    found = doctor.gpu_request(Answer(0), NO, [mixed])
    assert found.level == Level.NOTE
    assert "a100, h100" in found.text


def test_accounts_and_the_queue():
    enforced = {"AccountingStorageEnforce": "associations,limits", "MaxJobCount": "10000"}
    mine = [{"account": "physics", "partition": "", "max_submit": "50"}]
    found = doctor.account(enforced, mine, 128)
    values = {s.path: s.value for s in found.settings}
    assert values == {("jobs",): 50, ("default-resources", "slurm_account"): "'physics'"}
    assert doctor.account(enforced, [], 128).level == Level.FAIL
    assert doctor.account({"AccountingStorageEnforce": "none"}, [], 128).settings == ()


@pytest.mark.parametrize(
    ("kind", "nodes", "level"), [("ext2/ext3", 1, 0), ("xfs", 2, 2), ("nfs", 9, 0)]
)
def test_file_systems(kind: str, nodes: int, level: int):
    assert doctor.file_system(kind + "\n", nodes).level == level


def test_disk():
    assert doctor.disk(4999.0, "/here").level == Level.FAIL
    assert doctor.disk(5000.0, "/here").level == Level.OK


def test_benchmark_files():
    missing = ["Mix3toMix10/256_v1.pt"]
    assert doctor.benchmark_files([], 16, "/m", ["mirror"]).level == Level.OK
    assert doctor.benchmark_files(missing, 16, "/m", ["mirror", "download"]).level == Level.NOTE
    assert doctor.benchmark_files(missing, 16, "/m", ["mirror", "generated"]).level == Level.NOTE
    assert doctor.benchmark_files(missing, 16, "/m", ["mirror"]).level == Level.FAIL


def test_packages():
    assert doctor.packages({"snakemake": "9.27.1"}).level == Level.OK
    found = doctor.packages({"snakemake": "9.27.1", "plugin": None})
    assert (found.level, "plugin" in found.text) == (Level.FAIL, True)


def seen(**changes: str) -> Answer:
    line = {"host": "g1", "job": "7", "jax": "0.9", "platform": "gpu", "device": "A GPU"} | changes
    return Answer(0, "a module says hello\n" + json.dumps(line) + "\n")


def test_a_probe_on_a_measured_gpu_sets_the_device():
    found = doctor.probe(seen(), 1, ["A GPU"], None)
    assert [(s.path[-1], s.value) for s in found.settings] == [("site_device", "A GPU")]
    assert doctor.probe(seen(), 1, [], None).level == Level.NOTE


def test_a_probe_that_sees_no_gpu():
    cpu = seen(platform="cpu", device="CPU: x")
    assert doctor.probe(cpu, 1, [], None).level == Level.FAIL
    assert doctor.probe(cpu, 1, [], "cpu").level == Level.NOTE
    assert doctor.probe(cpu, 0, [], None).level == Level.OK


def test_a_probe_that_did_not_run():
    found = doctor.probe(Answer(1, "", "sbatch: error: Batch job submission failed"), 1, [], None)
    assert found.level == Level.FAIL
    assert "Batch job submission failed" in found.text
    assert doctor.probe(seen(error="No module named 'jax'"), 1, [], None).level == Level.FAIL


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
    text = doctor_site.compose(BASE, None, TWO, "A heading.")
    assert yaml.safe_load(text) == {
        "executor": "slurm",
        "jobs": 128,
        "retries": 9,
        "default-resources": {"runtime": 30, "slurm_extra": "'--signal=USR1@120'"},
        "config": {"site_runtime_min": 60},
    }
    assert "# doctor: the longest cell takes 5 jobs\nretries: 9\n" in text
    assert "  # doctor: the limit\n  site_runtime_min: 60\n" in text
    assert doctor_site.compose(BASE, text, TWO, "A heading.") == text


def test_lines_of_the_users_own_stay_and_the_doctors_change():
    text = doctor_site.compose(BASE, None, TWO, "A heading.")
    mine = text.replace("jobs: 128", "jobs: 40").replace("runtime: 30", "runtime: 30\n  qos: big")
    again = [TWO[0], Setting(("config", "site_runtime_min"), 120, "a longer limit")]
    amended = doctor_site.compose(BASE, mine, again, "A heading.")
    values = yaml.safe_load(amended)
    assert (values["jobs"], values["default-resources"]["qos"]) == (40, "big")
    assert values["config"] == {"site_runtime_min": 120}
    assert "# yours, from this file as it was\njobs: 40" in amended


def test_a_line_of_the_doctors_that_the_user_changed_is_the_users():
    text = doctor_site.compose(BASE, None, TWO, "A heading.")
    mine = text.replace("retries: 9", "retries: 99")
    amended = doctor_site.compose(BASE, mine, TWO, "A heading.")
    assert yaml.safe_load(amended)["retries"] == 99
    assert "the doctor would write 9, since the longest cell takes 5 jobs" in amended


def test_what_the_doctor_no_longer_finds_goes():
    text = doctor_site.compose(BASE, None, TWO, "A heading.")
    amended = doctor_site.compose(BASE, text, TWO[:1], "A heading.")
    assert "config" not in yaml.safe_load(amended)


@pytest.mark.parametrize("text", ["- a\n- b\n", "a: [\n", "# doctor wrote: {\na: 1\n"])
def test_a_site_file_that_cannot_be_read_is_named(text: str):
    with pytest.raises(InputError, match=re.escape("config.v9+.yaml")):
        doctor_site.compose(BASE, text, TWO, "A heading.")


def test_a_mirror_that_is_named_and_not_there_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """As the jobs will find it: the same function looks."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("W2BENCHMARK_MIRROR", "weights")
    found = doctor_job._benchmark_files(PAPER)
    assert found.level == Level.FAIL
    assert "mirror weights (named by W2BENCHMARK_MIRROR): there is no such folder" in found.text
    (tmp_path / "weights" / "Mix3toMix10").mkdir(parents=True)
    assert "holds no weights" in doctor_job._benchmark_files(PAPER).text
    for version in ("v1", "v2"):
        (tmp_path / "weights" / "Mix3toMix10" / f"2_{version}.pt").touch()
    found = doctor_job._benchmark_files(PAPER)
    assert found.level == Level.NOTE
    assert f"2 of 16 in {tmp_path / 'weights'}" in found.text


def test_the_job_writes_amends_and_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("W2BENCHMARK_MIRROR", raising=False)
    monkeypatch.setattr(doctor_job, "command", Replay("short-limit"))
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
    monkeypatch.setattr(doctor_job, "command", lambda *_, **__: Answer(127))
    with pytest.raises(SystemExit) as caught:
        main(["doctor", "--profile", str(tmp_path)])
    assert caught.value.code == 1
    assert "CANNOT be expected to run" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []
