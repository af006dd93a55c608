"""The job `doctor`: will `snakemake --profile slurm all` run here, and with which settings?"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path

from w2dual import cluster_facts, doctor, doctor_site, provenance
from w2dual.cells import grid, hd_grid
from w2dual.config import Config, load
from w2dual.costs import read_costs
from w2dual.doctor import Answer, Finding, Level, Setting
from w2dual.estimate_job import COSTS, add_config_arguments
from w2dual.places import mirror_folder
from w2dual.records import InputError, write_text
from w2dual.resources import START_MIN, Requests

PROFILE = Path("slurm")
TIMEOUT_S = 20.0
PROBE_MIN = 2
PROBE_S = 300.0
"""Seconds that the probe job gets, with its time in the queue."""
PLUGINS = ("snakemake", "snakemake-executor-plugin-slurm")

Run = Callable[..., Answer]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the job's arguments."""
    add_config_arguments(parser)
    parser.add_argument("--partition", help="of training jobs (default: chosen, see the output)")
    parser.add_argument("--no-probe", action="store_true", help="submit no one-minute job")
    parser.add_argument("--no-write", action="store_true", help="leave the site file as it is")
    parser.add_argument(
        "--profile", type=Path, default=PROFILE, help=f"folder of the profile (default: {PROFILE})"
    )
    # What the probe job runs.
    parser.add_argument("--probe-here", action="store_true", help=argparse.SUPPRESS)


def main(args: argparse.Namespace) -> None:
    """Print the findings, and write the site file where there is a cluster.

    Raises:
        InputError: the config, or the site file that is there, cannot be used.
        SystemExit: something keeps `all` from running; the code is 1.
    """
    if args.probe_here:
        sys.stdout.write(json.dumps(look()) + "\n")
        return
    config = load([args.config, *args.configfile])
    findings = examine(config, args, command)
    text = [line for finding in findings for line in lines(finding)]
    settings = [setting for finding in findings for setting in finding.settings]
    # Nothing is known of a cluster that is not there.
    if settings and not args.no_write:
        text += ["", _write_site(args.profile, settings)]
    good = doctor.verdict(findings)
    failed = sum(finding.level == Level.FAIL for finding in findings)
    ending = (
        "`snakemake --profile slurm all` can be expected to run."
        if good
        else f"`snakemake --profile slurm all` CANNOT be expected to run: {failed} FAIL above."
    )
    sys.stdout.write("\n".join([*text, "", ending, ""]))
    if not good:
        raise SystemExit(1)


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
        )
    except FileNotFoundError:
        return Answer(127)
    except subprocess.TimeoutExpired:
        return Answer(124)
    except OSError as error:
        return Answer(126, err=str(error))
    return Answer(done.returncode, done.stdout, done.stderr)


def examine(config: Config, args: argparse.Namespace, run: Run) -> list[Finding]:
    """Run each check; those of the cluster end where there is none."""
    findings = [doctor.packages({name: _version(name) for name in PLUGINS})]
    answer = run("scontrol", "show", "config")
    findings.append(doctor.slurm(answer))
    nodes: list[cluster_facts.Node] = []
    if answer.code == 0:
        facts = cluster_facts.read_config(answer.out)
        nodes = cluster_facts.read_nodes(run("scontrol", "show", "node", "--oneliner").out)
        findings += _of_cluster(config, args, run, facts, nodes)
    kind = run("stat", "--file-system", "--format=%T", ".")
    findings.append(doctor.file_system(kind.out, len(nodes)))
    folder = Path.cwd()
    findings.append(doctor.disk(shutil.disk_usage(folder).free / 1e6, str(folder)))
    findings.append(doctor.tex(run("scripts/install_tex.sh", "--check")))
    findings.append(_benchmark_files(config))
    return findings


def _of_cluster(
    config: Config,
    args: argparse.Namespace,
    run: Run,
    facts: dict[str, str],
    nodes: Sequence[cluster_facts.Node],
) -> list[Finding]:
    sacct = run("sacct", "--allocations", "--noheader", "--format=JobIDRaw")
    findings = [doctor.status_command(facts, sacct)]
    shown = run("scontrol", "show", "partition", "--oneliner")
    partitions = cluster_facts.read_partitions(shown.out)
    partition, found = doctor.choose_partition(
        partitions, nodes, args.partition, config["resources"]["gpus"]
    )
    findings.append(found)
    user = os.environ.get("USER") or run("id", "--user", "--name").out.strip()
    associations = run(
        *("sacctmgr", "--noheader", "--parsable2", "show", "associations", f"user={user}"),
        "format=account,partition,maxsubmit",
    )
    rows = cluster_facts.read_associations(associations.out)
    profile = doctor_site.parse(_profile_text(args.profile), str(args.profile))
    findings.append(doctor.account(facts, rows, profile[("jobs",)]))
    if partition is None:
        return findings
    findings.append(doctor.requeue(facts, partition))
    devices = sorted({cost.device for cost in read_costs(COSTS)})
    resources = config["resources"]
    own = [node for node in nodes if partition.name in node.partitions]
    memory_mb, cpus = resources["memory_mb"], resources["cpus"]
    findings.append(doctor.memory(partition, nodes, memory_mb, cpus))
    request: tuple[str, ...] = ()
    if resources["gpus"]:
        test = ("sbatch", "--test-only", f"--partition={partition.name}", "--time=1", "--mem=500")
        by_gpus = run(*test, "--gpus=1", "--wrap=true")
        by_gres = run(*test, "--gres=gpu:1", "--wrap=true")
        findings.append(doctor.gpu_request(by_gpus, by_gres, own))
        request = ("--gpus=1",) if by_gpus.code == 0 else ("--gres=gpu:1",)
    if not args.no_probe:
        findings.append(_probe(run, partition.name, request, resources["gpus"], devices))
        measured = [s.value for s in findings[-1].settings if s.path[-1] == "site_device"]
        config = config | {"site_device": measured[0] if measured else config["site_device"]}
    requests = Requests.of(config, COSTS)
    longest = max(grid(config), key=requests.cell_min)
    findings.append(
        doctor.time_limit(partition, requests.cell_min(longest), longest.name, START_MIN)
    )
    return findings


def _probe(
    run: Run, partition: str, request: Sequence[str], gpus: int, devices: Sequence[str]
) -> Finding:
    """Submit a job of a minute to where training jobs go, and read what it says."""
    # In the checkout, which the node has to see anyway.
    with tempfile.TemporaryDirectory(prefix=".doctor-", dir=".") as folder:
        output = Path(folder) / "probe.txt"
        words = (sys.executable, "-m", "w2dual", "doctor", "--probe-here")
        submitted = run(
            *("sbatch", "--wait", "--job-name=w2dual-doctor", f"--partition={partition}"),
            *(f"--time={PROBE_MIN}", "--mem=2000", f"--output={output}", *request),
            f"--wrap={' '.join(words)}",
            timeout_s=PROBE_S,
        )
        said = output.read_text(errors="replace") if output.exists() else ""
    if submitted.code == 124:
        run("scancel", "--name=w2dual-doctor", "--me")
        submitted = Answer(124, err=f"it did not end within {PROBE_S:.0f} s")
    lines = said.strip().splitlines()
    error = submitted.err or (lines[-1] if lines and submitted.code else "")
    answer = Answer(submitted.code, said, error)
    return doctor.probe(answer, gpus, devices, os.environ.get("JAX_PLATFORMS"))


def look() -> dict[str, str]:
    """Give what a job sees: its host, JAX and the device that JAX would train on."""
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


def _benchmark_files(config: Config) -> Finding:
    from w2dual.measures.benchmark_files import weight_paths

    settings = config["measures"]["benchmark"]
    dimensions = sorted({cell.dimension for cell in hd_grid(config)})
    published = [n for n in dimensions if n in settings["published_dimensions"]]
    names = [Path(path).relative_to("benchmarks") for n in published for path in weight_paths(n)]
    try:
        named = mirror_folder(settings["mirror"]) if "mirror" in settings["sources"] else None
    except InputError as error:
        return Finding("benchmark files", Level.FAIL, str(error), "the jobs look there too")
    if named is None:
        where = "no mirror (W2BENCHMARK_MIRROR is not set)"
        return doctor.benchmark_files(
            [str(name) for name in names], len(names), where, settings["sources"]
        )
    folder, _ = named
    places = (folder, folder / "benchmarks")
    missing = [str(name) for name in names if not any((p / name).is_file() for p in places)]
    return doctor.benchmark_files(missing, len(names), str(folder), settings["sources"])


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
    """Give a finding's lines of the output."""
    first = f"{finding.level.word:4}  {finding.check}: {finding.text}"
    return [first, f"      -> {finding.remedy}"] if finding.remedy else [first]
