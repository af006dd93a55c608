"""The doctor on a real cluster: what it says of partitions and paths, and what SLURM does.

Part of `make test-slurm`; alone: python -m tests.slurm.run --only doctor
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import time
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from tests.slurm.cluster import Cluster

from w2dual.cluster.access import Access, access
from w2dual.cluster.doctor import checks as doctor
from w2dual.cluster.doctor import examination, queue, request
from w2dual.cluster.doctor.checks import Answer, Finding, Level
from w2dual.cluster.doctor.probe import never
from w2dual.cluster.facts import read_config, read_job, read_nodes, read_partitions
from w2dual.config.reader import load

if TYPE_CHECKING:
    from tests.slurm.run import Checks

NOBODY = "nobody"
ACCOUNT = "lab_here"
ELSEWHERE = "lab_far"
"""An account of another cluster, which the same database serves."""
SHARE = f"modify account {ACCOUNT} where cluster=tst set"
# More partitions than the cluster's own, each with one thing that is wrong with it.
PARTITIONS = {
    "bigmem_vip": "Nodes={host} AllowAccounts=vip",
    "denied": "Nodes={host} DenyAccounts=lab_here,lab_too",
    "closed": "Nodes={host} State=DOWN",
    "draining": "Nodes={host} State=DRAIN",
    "inactive": "Nodes={host} State=INACTIVE",
    "drained": "Nodes=far",
    "hidden": "Nodes={host} Hidden=YES",
    "root_only": "Nodes={host} RootOnly=YES",
    "reserved": "Nodes={host} ReqResv=YES",
    "other_qos": "Nodes={host} AllowQos=other",
    "no_normal": "Nodes={host} DenyQos=normal,high",
    "members": "Nodes={host} AllowGroups=adm",
    "from_login7": "Nodes={host} AllocNodes=login7",
}
# And some that take the user's jobs, if they ask for the right thing, but for a shorter time.
OPEN = {
    "for_too": "Nodes={host} AllowAccounts=lab_too MaxTime=60",
    "for_high": "Nodes={host} AllowQos=high MaxTime=60",
    "short_qos": "Nodes={host} QOS=half_hour MaxTime=60",
}
ENFORCE = "AccountingStorageEnforce=associations,limits,qos\n"
MORE = (
    "NodeName=far NodeAddr=127.0.0.1 NodeHostname=far Port=17999 CPUs=64 RealMemory=64000 "
    'Gres=gpu:4 State=DRAIN Reason="bad fan"\n'
    + "".join(
        f"PartitionName={name} MaxTime=5-00:00:00 State=UP {line}\n".replace(
            "State=UP ", "" if "State=" in line else "State=UP "
        )
        for name, line in PARTITIONS.items()
    )
    + "".join(f"PartitionName={name} State=UP {line}\n" for name, line in OPEN.items())
)
ACCOUNTS = (
    "add cluster aurora",
    "add qos high,other,half_hour",
    "modify qos half_hour set MaxWall=30",
    "add account lab_far cluster=aurora",
    "add account lab_here,lab_too cluster=tst",
    *(
        line.format(user=user)
        for user in (NOBODY, "root")
        for line in (
            "add user {user} account=lab_far cluster=aurora",
            "add user {user} account=lab_too cluster=tst",
            "add user {user} account=lab_here cluster=tst",
            "modify user {user} where cluster=tst set defaultaccount=lab_here",
            "modify user {user} where cluster=tst set qos=normal,high",
        )
    ),
)


def cluster(folder: Path) -> Cluster:
    """Return the cluster: two in one database, and every kind of partition."""
    return Cluster(folder, gpus=4, limit_min=2880, more=ENFORCE + MORE, accounts=ACCOUNTS)


def as_user(name: str, environment: Mapping[str, str], folder: Path = Path("/")) -> examination.Run:
    """Return what runs commands as another user, in a folder."""
    start = () if name == "root" else ("setpriv", f"--reuid={name}", "--regid=nogroup")
    start = (*start, "--clear-groups") if start else ()

    def run(*words: str, timeout_s: float = examination.TIMEOUT_S) -> Answer:
        done = subprocess.run(
            [*start, *words],
            env=environment,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            stdin=subprocess.DEVNULL,
            cwd=folder,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    return run


def judged(run: examination.Run) -> dict[str, Access | str]:
    """Return what the doctor's rules say of each partition, for the user that `run` is."""
    facts = read_config(run("scontrol", "show", "config").out)
    nodes = read_nodes(run("scontrol", "--all", "show", "node", "--oneliner").out)
    user = examination.user_of(run)
    accounting = examination.accounting_of(run, facts, user.name)
    shown = run("scontrol", "--all", "show", "partition", "--oneliner").out
    return {
        partition.name: access(partition, nodes, user, accounting, 1)
        for partition in read_partitions(shown)
    }


def submitted(run: examination.Run, name: str, answer: Access | str) -> Answer:
    """Submit a job to a partition: as the doctor's rules say, or to one that they leave out."""
    wanted = queue.Wanted(100, 1, 1, 1)
    words: Sequence[str] = ("--partition", name, "--time=1", "--mem=100")
    if isinstance(answer, Access):
        words = request.request(answer, True, wanted)
    end = ("--gpus=1", "--output=/dev/null", "--parsable", "--wrap=true")
    return run("sbatch", *words, *end)


def state(run: examination.Run, job: str) -> tuple[str, str]:
    """Return a job's state, and the reason that it waits."""
    record = read_job(run("scontrol", "show", "job", job, "--oneliner").out)
    return record.get("JobState", ""), record.get("Reason", "")


def disagreements(run: examination.Run, rules: Mapping[str, Access | str]) -> list[str]:
    """Return the partitions where SLURM does otherwise than the doctor's rules say."""
    found, waiting = [], {}
    for name, answer in rules.items():
        if isinstance(answer, str) and name != "hidden":  # which SLURM would take
            sent = submitted(run, name, answer)
            if sent.code == 0:
                waiting[name] = sent.out.strip()
    time.sleep(6)
    for name, job in waiting.items():
        word, reason = state(run, job)
        # Of a job in a drained partition 22.05 says this, or ReqNodeNotAvail.
        if word != "PENDING" or not (never(reason) or "DRAINED" in reason):
            found.append(f"{name}: left out ({rules[name]}), but {word} {reason}")
        run("scancel", job)
    for name, answer in rules.items():
        if isinstance(answer, Access):
            sent = submitted(run, name, answer)
            end = time.monotonic() + 20
            word, reason = "", sent.words
            while sent.code == 0 and word != "COMPLETED" and time.monotonic() < end:
                word, reason = state(run, sent.out.strip())
                time.sleep(0.3)
            if word != "COMPLETED":
                found.append(f"{name}: said to take jobs, but {word} {reason}")
                run("scancel", sent.out.strip())
    return found


def look(
    root: Path, environment: Mapping[str, str], *options: str, within: Sequence[str] = ()
) -> tuple[int, str]:
    """Run the doctor in a checkout, with the paper's config; gives its exit code and its words."""
    done = subprocess.run(
        [*within, sys.executable, "-m", "w2dual", "doctor", *options],
        cwd=root,
        env=dict(environment) | {"PYTHONPATH": "src"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def failures(said: str) -> list[str]:
    """Return what failed, but for what is no matter of these tests: this machine's, one of two."""
    other = r"^FAIL  (?!TeX|(?:benchmark|CelebA64) files|disk|file system)(.*)$"
    return re.findall(other, said, re.MULTILINE)


def line(said: str, check: str) -> str:
    """Return the line of one check, with its level."""
    match = re.search(rf"^\S+ +{check}: .*$", said, re.MULTILINE)
    return match[0] if match else f"no line of {check}"


def starts_a_job(
    folder: Path, environment: Mapping[str, str], own_python: bool
) -> tuple[Finding, bool]:
    """Have Snakemake run one trivial job from a folder; gives doctor's word, and whether it ran.

    `own_python`: with an environment within the folder, as `make env` makes it.
    """
    folder.mkdir()
    (folder / "Snakefile").write_text('rule:\n    output: "out"\n    shell: "echo > {output}"\n')
    python = sys.executable
    if own_python:
        venv.create(folder / ".venv", with_pip=False, symlinks=True)
        packages = next((folder / ".venv" / "lib").iterdir()) / "site-packages" / "all.pth"
        here = [path for path in sys.path if path.endswith("site-packages")]
        packages.write_text("\n".join(here) + "\n")
        python = str(folder / ".venv" / "bin" / "python")
    options = "--executor slurm --jobs 1 --slurm-status-command squeue --latency-wait 3"
    quick = "--slurm-init-seconds-before-status-checks 2 --default-resources runtime=1 mem_mb=500"
    with contextlib.suppress(subprocess.TimeoutExpired):
        subprocess.run(
            [python, "-m", "snakemake", *options.split(), *quick.split()],
            cwd=folder,
            env=environment,
            capture_output=True,
            timeout=90,
            check=False,
        )
    home = environment["HOME"]
    return doctor.paths(python, str(folder), home), (folder / "out").exists()


def check_partitions(checks: Checks, environment: Mapping[str, str]) -> None:
    """The rules on who may submit where, held against what SLURM does with real jobs."""
    for user in (NOBODY, "root"):
        run = as_user(user, environment)
        rules = judged(run)
        wrong = disagreements(run, rules)
        out = [name for name, answer in rules.items() if isinstance(answer, str)]
        checks.check(
            f"jobs of {user} start in the partitions that doctor would choose, and in no other",
            not wrong and set(rules) >= set(PARTITIONS) | set(OPEN),
            "; ".join(wrong) or f"{len(rules) - len(out)} take them; left out: {', '.join(out)}",
        )


def check_choice(checks: Checks, root: Path, environment: Mapping[str, str]) -> None:
    """Two clusters in one database, and partitions that are of no use."""
    code, said = look(root, environment)
    site = root / "slurm" / "config.v9+.yaml"
    values = yaml.safe_load(site.read_text()) if site.exists() else {}
    account = values.get("default-resources", {}).get("slurm_account")
    chosen = values.get("set-resources", {}).get("train", {}).get("slurm_partition", "").strip("'")
    checks.check(
        "doctor takes the account of this cluster, and not one of another in the same database",
        account == f"'{ACCOUNT}'" and ELSEWHERE not in said,
        line(said, "account"),
    )
    told = re.findall(r"^note +left out: ([^:]*): (.*)$", said, re.MULTILINE)
    named = {name for names, _ in told for name in names.split(", ")}
    as_root = {"root_only", "members", "denied"}  # which root may use, or root's own account
    checks.check(
        "doctor names each partition that is closed, drained, hidden or not for this user",
        named == set(PARTITIONS) - as_root and bool(chosen) and chosen not in named,
        "; ".join(f"{names}: {why}" for names, why in told),
    )
    probe = re.search(r"probe job: on \S+, job (\d+): JAX", said)
    run = as_user("root", environment)
    ran = read_job(run("scontrol", "show", "job", probe[1] if probe else "", "--oneliner").out)
    memory_mb = load([root / "config.yaml"])["resources"]["memory_mb"]
    got = f"{ran.get('Account')} {ran.get('Partition')} {ran.get('TRES')}"
    checks.check(
        "what doctor writes is what its probe job ran with",
        not failures(said)
        and (ran.get("Account"), ran.get("Partition")) == (ACCOUNT, chosen)
        and f"mem={memory_mb}M" in got
        and "gres/gpu=1" in got,
        "; ".join([*failures(said), line(said, "probe job"), got]),
    )
    code, said = look(root, environment, "--partition", "bigmem_vip", "--no-write", "--no-probe")
    checks.check(
        "a partition that does not admit the user is a fault where it is asked for",
        code == 1 and "takes only jobs of the account(s) vip" in line(said, "partition"),
        line(said, "partition"),
    )


def check_busy(checks: Checks, root: Path, cluster: Cluster) -> None:
    """A cluster that is full, and an account without a share."""
    environment = cluster.environment
    words = ("--gpus=4", "--time=60", "--output=/dev/null", "--parsable", "--wrap=sleep 300")
    job = cluster.run("sbatch", *words).strip()
    options = ("--no-write", "--partition", "gpu", "--probe-wait", "6")
    _, said = look(root, environment, *options)
    left = cluster.run("squeue", "--noheader", "--name=w2dual-doctor", "--format=%T %r")
    checks.check(
        "a busy partition is no fault: the probe is pending, and is taken from the queue",
        not failures(said) and "note  probe job: pending" in line(said, "probe job") and not left,
        "; ".join([*failures(said), line(said, "probe job"), left]),
    )
    cluster.run("scancel", job)
    cluster.run("sacctmgr", "-i", *SHARE.split(), "GrpTRES=gres/gpu=0")
    time.sleep(1)
    _, said = look(root, environment, *options[:-1], "60")
    left = cluster.run("squeue", "--noheader", "--name=w2dual-doctor", "--format=%T %r")
    cluster.run("sacctmgr", "-i", *SHARE.split(), "GrpTRES=gres/gpu=-1")
    checks.check(
        "an account without a share of GPUs is one, with SLURM's reason",
        "AssocGrp" in line(said, "probe job") and len(failures(said)) == 1 and not left,
        "; ".join([*failures(said), left]),
    )


def check_within(checks: Checks, root: Path, environment: Mapping[str, str]) -> None:
    """The doctor in a job."""
    srun = ("srun", "--partition=gpu", "--mem=2000", "--gpus=1")
    _, said = look(root, environment, "--no-write", "--no-probe", within=srun)
    checks.check(
        "within a SLURM job doctor says so",
        re.search(r"within SLURM job \d+ on ", line(said, "where this runs")) is not None
        and not failures(said),
        "; ".join([*failures(said), line(said, "where this runs")]),
    )


def check_paths(checks: Checks, folder: Path, environment: Mapping[str, str]) -> None:
    """Paths that the plugin cannot hand on, and others that look as if it could not."""
    for name, own_python in (("my checkout", True), ("it's mine [1]", False), ("100%job", False)):
        found, ran = starts_a_job(folder / name, environment, own_python)
        checks.check(
            f"doctor knows whether a job can start from the folder {name}",
            ran == (found.level == Level.OK) and ran == (name == "it's mine [1]"),
            found.text,
        )


def check_all(checks: Checks, folder: Path, root: Path, cluster: Cluster) -> None:
    """Everything of the doctor's, on the cluster of this module."""
    environment = {k: v for k, v in cluster.environment.items() if k != "SLURM_JOB_ID"}
    environment |= {"JAX_PLATFORMS": "cpu"}
    check_partitions(checks, environment)
    check_choice(checks, root, environment)
    check_busy(checks, root, cluster)
    check_within(checks, root, environment)
    check_paths(checks, folder, environment)
