"""What keeps `snakemake --profile slurm all` from running here: one small check for each thing.

Each check takes the text that a command printed, or numbers, and gives a finding: what was found,
what to do about it, and which lines of the profile follow from it, with the reason. Nothing here
runs a command. Light: JAX is not imported.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from w2dual.cluster.facts import seconds

FIRST_CHECK_S = 30
"""When the profile first asks for a job's state, if the cluster lets it."""
SLOWEST_POLL_S = 180
"""What the plugin's interval between two questions grows to."""
LOCAL_FILE_SYSTEMS = ("ext2/ext3", "xfs", "btrfs", "tmpfs", "overlayfs", "zfs", "ramfs")
FREE_MB = 5000
"""What the paper's results take, with checkpoints and a margin."""


class Level(enum.IntEnum):
    """How bad a finding is."""

    OK = 0
    NOTE = 1
    FAIL = 2

    @property
    def word(self) -> str:
        """What stands before it in the output."""
        return ("ok", "note", "FAIL")[self]


@dataclass(frozen=True)
class Setting:
    """A line of the site's profile; `path` is its keys from the top."""

    path: tuple[str, ...]
    value: Any
    reason: str


@dataclass(frozen=True)
class Finding:
    """What a check found; `remedy` is empty where all is well."""

    check: str
    level: Level
    text: str
    remedy: str = ""
    settings: tuple[Setting, ...] = ()


@dataclass(frozen=True)
class Answer:
    """What a command gave; `code` is 127 where there is no such command, 124 where it hung."""

    code: int
    out: str = ""
    err: str = ""

    @property
    def missing(self) -> bool:
        """Whether there is no such command."""
        return self.code == 127

    @property
    def words(self) -> str:
        """The first line of what it complained about."""
        if self.code == 124:
            return "gives no answer"
        return next(iter((self.err or self.out).strip().splitlines()), f"exit {self.code}")


# ---------------------------------------------------------------- the batch system


def slurm(config: Answer) -> Finding:
    """Is there a SLURM that answers? From `scontrol show config`."""
    if config.missing:
        return Finding(
            "SLURM",
            Level.FAIL,
            "not found here: no `scontrol`",
            "run this on the login node of your cluster; on one machine use "
            "`snakemake --profile profiles/gpu all` or, without a GPU, profiles/cpu",
        )
    if config.code:
        return Finding(
            "SLURM",
            Level.FAIL,
            f"its controller does not answer: {config.words}",
            "load your site's SLURM module, or ask its administrators whether slurmctld is down",
        )
    return Finding("SLURM", Level.OK, "the controller answers")


def status_command(config: dict[str, str], sacct: Answer) -> Finding:
    """By which command can Snakemake see what becomes of its jobs?"""
    works = sacct.code == 0
    storage = config.get("AccountingStorageType", "")
    has = "sacct works" if works else f"sacct does not work: {sacct.words}"
    if sacct.missing:
        has = "there is no sacct"
    elif not works and storage.endswith("none"):
        has = f"sacct is only present: {storage}"
    age = seconds(config.get("MinJobAge", "")) or 0
    first = min(FIRST_CHECK_S, age // 3)
    if age >= SLOWEST_POLL_S + first:
        reason = (
            f"{has}; a job stays visible for MinJobAge = {age} s, longer than between two looks"
        )
        settings = (
            Setting(("slurm-status-command",), "squeue", reason),
            Setting(
                ("slurm-init-seconds-before-status-checks",),
                first,
                f"at most a third of MinJobAge = {age} s, else the plugin turns to sacct",
            ),
        )
        return Finding("job states", Level.OK, f"squeue; {has}, MinJobAge {age} s", "", settings)
    if works:
        reason = (
            f"squeue forgets a job after MinJobAge = {age} s, sooner than Snakemake looks again"
        )
        return Finding(
            "job states",
            Level.NOTE,
            f"sacct, since MinJobAge is only {age} s",
            "sacct does not show Snakemake a job ended by scancel: cancel by Ctrl-C in Snakemake",
            (Setting(("slurm-status-command",), "sacct", reason),),
        )
    return Finding(
        "job states",
        Level.FAIL,
        f"neither squeue (MinJobAge {age} s, {SLOWEST_POLL_S + FIRST_CHECK_S} s needed) nor sacct "
        f"({has}) tells how a job ended",
        "ask the administrators for MinJobAge=300 in slurm.conf, or for accounting",
    )


def within_job(environment: Mapping[str, str], host: str) -> list[Finding]:
    """Does this run in a SLURM job, where there is less to see and to use than on a login node?"""
    job = environment.get("SLURM_JOB_ID")
    if not job:
        return []
    given = [
        f"{what} {environment[name]}"
        for name, what in (
            ("SLURM_JOB_PARTITION", "partition"),
            ("SLURM_CPUS_ON_NODE", "CPUs"),
            ("SLURM_MEM_PER_NODE", "MB"),
            ("CUDA_VISIBLE_DEVICES", "GPUs"),
        )
        if environment.get(name)
    ]
    return [
        Finding(
            "where this runs",
            Level.NOTE,
            f"within SLURM job {job} on {host} ({', '.join(given) or 'limits unknown'}): TeX, file "
            "system and disk below are that node's, within the job's limits, not the login node's",
            "run doctor on the login node, and Snakemake too: started in a job it ends with it",
        )
    ]


# ---------------------------------------------------------------- files and programs


# What a shell does not take as part of a word. Brackets, `*` and `?` pass, unless they match.
_ENDS_A_WORD = frozenset(" \t\n\"'$&();<>|\\`")
# What sbatch replaces in the name of a job's log.
_OF_LOGS = re.compile(r"%\d*[%AaJjNnstubx]")
# What `repr`, or a shell within double quotes, makes something else of.
_CHANGED_IN_QUOTES = frozenset("$`\\")


def paths(python: str, checkout: str, home: str) -> Finding:
    r"""Do the paths survive the SLURM plugin, which hands jobs to two shells one after the other?

    The plugin (submit_string.py and __init__.py of 2.8) gives sbatch `--wrap="..."`: in it this
    Python's path as it is, other paths as Python's `repr` has them, which is not a shell's way to
    quote. The log's path goes to `--output`, where `%` and `\` mean something to sbatch.
    """
    found = []
    ends = sorted(_ENDS_A_WORD & set(python))
    if ends or not python.isprintable():
        found.append(f"Python's, {python}, has {_shown(ends)}, and the plugin does not quote it")
    for whose, path in (("the checkout's", checkout), ("your home's", home)):
        changed = _CHANGED_IN_QUOTES & set(path)
        if whose == "the checkout's" and _OF_LOGS.search(path):
            changed |= {"%"}
        if "'" in path and '"' in path:
            changed |= {"'", '"'}
        changed |= {character for character in path if not character.isprintable()}
        if changed:
            found.append(
                f"{whose}, {path}, has {_shown(sorted(changed))}, which the plugin's quotes do not "
                "keep"
            )
    if not found:
        return Finding("paths", Level.OK, "the SLURM plugin can hand them to jobs")
    return Finding(
        "paths",
        Level.FAIL,
        "no job can start, by a limit of snakemake-executor-plugin-slurm: the path "
        + "; ".join(found),
        "move the checkout to a path of letters, digits and `_ . - + , = @`, and run `make env` "
        "there; on one machine, without SLURM, the path may stay",
    )


def _shown(characters: Sequence[str]) -> str:
    names = {" ": "a space", "\t": "a tab", "\n": "a line break"}
    return (
        " and ".join(names.get(c, c if c.isprintable() else repr(c)) for c in characters)
        or "a character that cannot be printed"
    )


def file_system(kind: str, nodes: int) -> Finding:
    """Do the nodes see the checkout? From `stat --file-system --format=%T .` and their count."""
    kind = kind.strip()
    if not kind:
        return Finding(
            "file system",
            Level.NOTE,
            "of an unknown kind: `stat` gives none",
            "see that all nodes have the checkout under the same path",
        )
    if nodes > 1 and kind in LOCAL_FILE_SYSTEMS:
        return Finding(
            "file system",
            Level.FAIL,
            f"the checkout is on {kind}, this machine's own; the cluster has {nodes} nodes",
            "move the checkout to a folder that all nodes see (home, project or scratch)",
        )
    shared = "the only node's own" if nodes <= 1 and kind in LOCAL_FILE_SYSTEMS else "shared"
    return Finding("file system", Level.OK, f"{kind}, {shared}")


def disk(free_mb: float, folder: str) -> Finding:
    """Is there room for the results?"""
    text = f"{free_mb / 1000:.0f} GB free in {folder}"
    if free_mb < FREE_MB:
        remedy = f"make room for {FREE_MB / 1000:.0f} GB, or move the checkout"
        return Finding("disk", Level.FAIL, text, remedy)
    return Finding("disk", Level.OK, text)


def tex(check: Answer) -> Finding:
    """Can evaluation.pdf be set? From `scripts/install_tex.sh --check`."""
    if check.code == 0:
        return Finding("TeX", Level.OK, "what evaluation.pdf needs is there")
    missing = next(
        (line for line in (check.out + check.err).splitlines() if "missing" in line), check.words
    )
    return Finding(
        "TeX",
        Level.FAIL,
        missing.removeprefix("install_tex: "),
        "load your site's TeX module, or run scripts/install_tex.sh; without TeX ask for "
        "`everything_but_pdf` in place of `all`",
    )


def published_files(
    check: str, missing: Sequence[str], wanted: int, where: str, sources: Sequence[str], folder: str
) -> Finding:
    """Are the weights of the benchmark, or of its images, at hand?

    Args:
        check: which of them, in words.
        missing: files that the mirror lacks.
        wanted: how many the config needs.
        where: the mirror's folder, or why there is none.
        sources: in the config, of these.
        folder: that a mirror has them in.
    """
    if not missing:
        return Finding(check, Level.OK, f"{wanted} of {wanted} in {where}")
    text = f"{wanted - len(missing)} of {wanted} in {where}"
    if "download" in sources:
        return Finding(
            check,
            Level.NOTE,
            f"{text}; the others are downloaded by the jobs",
            "if your nodes have no internet, clone the published repository on the login node and "
            "set W2BENCHMARK_MIRROR to its `benchmarks` folder",
        )
    if "generated" in sources:
        remedy = "set W2BENCHMARK_MIRROR if you want the published ones"
        return Finding(check, Level.NOTE, f"{text}; new pairs are trained for the others", remedy)
    return Finding(
        check, Level.FAIL, text, f"set W2BENCHMARK_MIRROR to a folder that holds {folder}/*.pt"
    )


def packages(versions: dict[str, str | None]) -> Finding:
    """Are Snakemake and its plugin installed?"""
    lacking = [name for name, version in versions.items() if version is None]
    if lacking:
        return Finding(
            "Snakemake",
            Level.FAIL,
            f"not installed in this Python: {', '.join(lacking)}",
            "`make env`, then `source .venv/bin/activate`",
        )
    listed = ", ".join(f"{name} {version}" for name, version in versions.items())
    return Finding("Snakemake", Level.OK, listed)


def verdict(findings: Sequence[Finding]) -> bool:
    """Whether `snakemake --profile slurm all` can be expected to run."""
    return all(finding.level < Level.FAIL for finding in findings)
