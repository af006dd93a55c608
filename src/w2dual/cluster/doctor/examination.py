"""Will `snakemake --profile slurm all` run here, and with which settings?"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from w2dual import provenance
from w2dual.cluster import facts as cluster_facts
from w2dual.cluster.access import Access, Accounting, User, access, nodes_of, usable
from w2dual.cluster.costs import COSTS, read_costs
from w2dual.cluster.doctor import (
    checks,
    data,
    probe,
    queue,
    weights,
)
from w2dual.cluster.doctor import (
    profile as doctor_site,
)
from w2dual.cluster.doctor import (
    request as doctor_request,
)
from w2dual.cluster.doctor.checks import Answer, Finding, Level, Setting
from w2dual.cluster.doctor.queue import Wanted
from w2dual.cluster.facts import Node
from w2dual.cluster.resources import START_MIN, Requests
from w2dual.config.grid import grid
from w2dual.config.reader import Config
from w2dual.records import InputError, write_text

PROFILE = Path("slurm")
TIMEOUT_S = 20.0
PROBE_WAIT_S = 300
"""Seconds that the probe job may wait in the queue, unless --probe-wait says otherwise."""
PLUGINS = ("snakemake", "snakemake-executor-plugin-slurm")

Run = Callable[..., Answer]


@dataclass(frozen=True)
class Asked:
    """What is asked of an examination.

    Attributes:
        partition: of training jobs; None to choose one.
        no_probe: whether no one-minute job is submitted.
        probe_wait: seconds that it may wait for its start.
        profile: folder of the profile, with the site file.
    """

    partition: str | None = None
    no_probe: bool = False
    probe_wait: int = PROBE_WAIT_S
    profile: Path = PROFILE


def report(config: Config, asked: Asked, *, write: bool) -> bool:
    """Print the findings, and return whether `all` can be expected to run.

    Args:
        config: resolved.
        asked: what is asked.
        write: whether the site file is written where there is a cluster.

    Raises:
        InputError: the site file that is there cannot be used.
    """
    findings = examine(config, asked, command)
    text = [line for finding in findings for line in lines(finding)]
    settings = [setting for finding in findings for setting in finding.settings]
    # Nothing is known of a cluster that is not there.
    if settings and write:
        text += ["", _write_site(asked.profile, settings)]
    good = checks.verdict(findings)
    failed = sum(finding.level == Level.FAIL for finding in findings)
    ending = (
        "`snakemake --profile slurm all` can be expected to run."
        if good
        else f"`snakemake --profile slurm all` CANNOT be expected to run: {failed} FAIL above."
    )
    sys.stdout.write("\n".join([*text, "", ending, ""]))
    return good


def command(*words: str, timeout_s: float = TIMEOUT_S) -> Answer:
    """Run a command; nothing it does raises."""
    try:
        done = subprocess.run(  # noqa: S603  the words are this module's own
            words,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
            stdin=subprocess.DEVNULL,
            env=_environment(os.environ),
        )
    except FileNotFoundError:
        return Answer(127)
    except subprocess.TimeoutExpired:
        return Answer(124)
    except OSError as error:
        return Answer(126, err=str(error))
    return Answer(done.returncode, done.stdout, done.stderr)


def _environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables for commands: within a job, without what SLURM has set for that job.

    It would count as options of sbatch's. The plugin drops it too, and SLURM_CONF with it.
    """
    if "SLURM_JOB_ID" not in environment:
        return dict(environment)
    return {
        name: value
        for name, value in environment.items()
        if name == "SLURM_CONF" or not name.startswith(("SLURM_", "SBATCH_", "SRUN_"))
    }


def examine(config: Config, asked: Asked, run: Run) -> list[Finding]:
    """Run each check; those of the cluster end where there is none."""
    findings = [checks.packages({name: _version(name) for name in PLUGINS})]
    findings += checks.within_job(os.environ, platform.node())
    answer = run("scontrol", "show", "config")
    findings.append(checks.slurm(answer))
    folder = Path.cwd()
    nodes: list[Node] = []
    if answer.code == 0:
        findings.append(checks.paths(sys.executable, str(folder), str(Path.home())))
        nodes = cluster_facts.read_nodes(run("scontrol", "--all", "show", "node", "--oneliner").out)
        findings += _of_cluster(config, asked, run, cluster_facts.read_config(answer.out), nodes)
    kind = run("stat", "--file-system", "--format=%T", ".")
    findings.append(checks.file_system(kind.out, len(nodes)))
    findings.append(checks.disk(shutil.disk_usage(folder).free / 1e6, str(folder)))
    findings.append(checks.tex(run("scripts/install_tex.sh", "--check")))
    findings.append(weights.benchmark(config))
    if config["celeba64"]["generators"]:
        findings.append(weights.images(config))
    return findings + data.findings(config)


def _of_cluster(
    config: Config,
    asked: Asked,
    run: Run,
    facts: dict[str, str],
    nodes: Sequence[Node],
) -> list[Finding]:
    sacct = run("sacct", "--allocations", "--noheader", "--format=JobIDRaw")
    findings = [checks.status_command(facts, sacct)]
    # `--all`: also those that are hidden, so that they can be named.
    shown = run("scontrol", "--all", "show", "partition", "--oneliner")
    partitions = cluster_facts.read_partitions(shown.out)
    user = user_of(run)
    accounting = accounting_of(run, facts, user.name)
    profile = doctor_site.parse(_profile_text(asked.profile), str(asked.profile))

    def found(gpus: int) -> dict[str, Access | str]:
        return {
            p.name: access(p, nodes, user, accounting, gpus, named=p.name == asked.partition)
            for p in partitions
        }

    gpus = config["resources"]["gpus"]
    training, finding = queue.choose_partition(
        partitions, nodes, found(gpus), asked.partition, gpus
    )
    findings += [finding, *queue.left_out(found(gpus))]
    if training is None:
        findings.append(doctor_request.account(facts, accounting, None, profile[("jobs",)]))
        return findings
    wanted = _wanted(config, gpus)
    others, finding = queue.choose_others(
        found(0), nodes, training, _light(config), _prepare(config)
    )
    findings.append(finding)
    findings.append(doctor_request.account(facts, accounting, others, profile[("jobs",)]))
    findings.append(doctor_request.requeue(facts, training.partition))
    findings.append(doctor_request.memory(training.partition, nodes, wanted))
    written = any(s.path[-1] == "slurm_account" for f in findings for s in f.settings)
    request = doctor_request.request(training, written, wanted)
    if gpus:
        finding, gpu = _gpu(config, run, request, nodes_of(training.partition, nodes, gpus))
        findings.append(finding)
        request = (*request, gpu)
    known = _known_device(asked.profile)
    if asked.no_probe:
        device = next((setting.value for setting in known), config["site_device"])
    else:
        findings.append(_probe(run, request, gpus, asked.probe_wait, known))
        settings = findings[-1].settings
        measured = [s.value for s in settings if s.path[-1] == "site_device"]
        device = measured[0] if measured else config["site_device"]
    requests = Requests.of(config | {"site_device": device}, COSTS)
    longest = max(grid(config), key=requests.cell_min)
    findings.append(
        doctor_request.time_limit(training, requests.cell_min(longest), longest.name, START_MIN)
    )
    if asked.no_probe and known:
        findings.append(probe.kept(known))
    return findings


# ---------------------------------------------------------------- whom and what it asks for


def user_of(run: Run) -> User:
    """Return who submits from here."""
    # Not $USER, which another user's shell may have handed on.
    return User(
        run("id", "--user", "--name").out.strip(),
        run("id", "--user").out.strip() == "0",
        tuple(run("id", "--groups", "--name").out.split()),
        run("hostname", "--short").out.strip(),
    )


def accounting_of(run: Run, facts: Mapping[str, str], user: str) -> Accounting:
    """Ask the database for this user on this cluster: it may serve others too."""
    if facts.get("AccountingStorageType", "").endswith("none"):
        return Accounting.of(facts, (), {}, {})
    cluster = facts.get("ClusterName", "")
    show = ("sacctmgr", "--noheader", "--parsable2", "show")
    rows = run(
        *(*show, "user", f"name={user}", f"cluster={cluster}", "withassoc"),
        "format=account,partition,maxsubmit,qos,defaultqos,maxwall,defaultaccount",
    )
    qos = run(*show, "qos", "format=name,maxwall,maxsubmitjobsperuser")
    parents = run(
        *(*show, "associations", f"cluster={cluster}", "user="), "format=account,parentname"
    )
    return Accounting.of(
        facts,
        cluster_facts.read_associations(rows.out),
        cluster_facts.read_qos(qos.out),
        cluster_facts.read_parents(parents.out),
        trouble=rows.words if rows.code else "",
    )


def _wanted(config: Config, gpus: int) -> Wanted:
    """Return what the longest training asks for where its time has not been measured."""
    resources = config["resources"]
    requests = Requests(config | {"site_runtime_min": None}, ())
    minutes = max(requests.cell_min(cell) for cell in grid(config))
    return Wanted(resources["memory_mb"], resources["cpus"], minutes, gpus)


def _light(config: Config) -> Wanted:
    light = config["resources"]["light"]
    attempts = queue.RETRIES + 1
    return Wanted(light["memory_mb"], 1, attempts * light["runtime_min"])


def _prepare(config: Config) -> Wanted:
    """Return what preparing a pair asks for: with a GPU where it may have to be trained."""
    gpus = config["resources"]["gpus"] if "generated" in _sources(config) else 0
    wanted = _wanted(config, gpus)
    return Wanted(wanted.memory_mb, wanted.cpus, (queue.RETRIES + 1) * wanted.minutes, gpus)


def _sources(config: Config) -> list[str]:
    return config["measures"]["benchmark"]["sources"]


def _gpu(
    config: Config, run: Run, request: Sequence[str], nodes: Sequence[Node]
) -> tuple[Finding, str]:
    """Return how a GPU is asked for, and sbatch's option."""
    test = ("sbatch", "--test-only", *request)
    by_gpus = run(*test, "--gpus=1", "--wrap=true")
    by_gres = run(*test, "--gres=gpu:1", "--wrap=true")
    without = run(*test, "--wrap=true") if by_gpus.code and by_gres.code else None
    rules = [*queue.GPU_RULES]
    if "generated" in _sources(config):
        rules.append(queue.PREPARE)
    finding = doctor_request.gpu_request(by_gpus, by_gres, usable(nodes), rules, without)
    return finding, "--gpus=1" if by_gpus.code == 0 else "--gres=gpu:1"


def _probe(
    run: Run, request: Sequence[str], gpus: int, wait_s: float, known: Sequence[Setting]
) -> Finding:
    """Submit a short job as training jobs are, and read what it says."""
    devices = sorted({cost.device for cost in read_costs(COSTS)})
    forced = os.environ.get("JAX_PLATFORMS")
    return probe.probe(
        run,
        request,
        (sys.executable, "-m", "w2dual", "doctor", "--probe-here"),
        wait_s,
        lambda answer: probe.judge(answer, gpus, devices, forced),
        known,
    )


def _known_device(folder: Path) -> list[Setting]:
    """Return the device that an earlier probe found, as the site file records it."""
    path = folder / doctor_site.NAME
    if not path.exists():
        return []
    record = doctor_site.written_before(path.read_text(encoding="utf-8"), str(path))
    key = ("config", "site_device")
    return [Setting(key, record[key], "an earlier probe job ran on it")] if key in record else []


def look() -> dict[str, str]:
    """Return what a job sees: its host, JAX and the device that JAX would train on."""
    seen = {"host": platform.node(), "job": os.environ.get("SLURM_JOB_ID", "")}
    try:
        import jax

        device = jax.devices()[0]
        return seen | {
            "jax": jax.__version__,
            "platform": device.platform,
            "device": provenance.device_name(),
        }
    except (ImportError, RuntimeError) as error:  # JAX names an unusable GPU by a RuntimeError
        return seen | {"jax": "", "platform": "", "device": "", "error": str(error)[:300]}


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


# ---------------------------------------------------------------- what is written


def _profile_text(folder: Path) -> str:
    path = folder / "config.yaml"
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"profile {path}: {error.strerror}; run this at the root") from error


def _write_site(folder: Path, settings: Sequence[Setting]) -> str:
    """Write or amend the site file, and say what became of it."""
    path = folder / doctor_site.NAME
    base = _profile_text(folder)
    before = path.read_text(encoding="utf-8") if path.exists() else None
    heading = (
        "The profile of this site, written by `w2dual doctor` from config.yaml beside it;\n"
        "Snakemake takes this file in its place. Change what you like: your lines stay when the\n"
        "doctor looks again, and the file as it was is kept as config.v9+.yaml.before."
    )
    text = doctor_site.compose(base, before, settings, heading)
    if text == before:
        return f"{path}: needs no change"
    if before is not None:
        write_text(folder / doctor_site.BEFORE, before)
    write_text(path, text)
    lines = [f"{'.'.join(s.path)}: {json.dumps(s.value)}  # {s.reason}" for s in settings]
    word = "amended" if before is not None else "written"
    return "\n".join([f"{path} {word}:", *(f"  {line}" for line in lines)])


def lines(finding: Finding) -> list[str]:
    """Return a finding's lines of the output."""
    first = f"{finding.level.word:4}  {finding.check}: {finding.text}"
    return [first, f"      -> {finding.remedy}"] if finding.remedy else [first]
