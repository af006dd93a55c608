"""One zip that a reviewer can check without a GPU.

It holds a checkout of the source with the run's outputs where the run put them, the parameters of
one seed of each cell, and in `archive/` the resolved config, the recorded commands of tables and
figures, and what machines were used. The same inputs give the same bytes.
"""

from __future__ import annotations

import json
import logging
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import astuple, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from w2dual import provenance
from w2dual.archive import container, crate, layout, scrub, source, verify
from w2dual.archive import steps as rendering
from w2dual.archive.container import MANIFEST, Member
from w2dual.archive.layout import CONFIG, LEFT_OUT, MACHINE, README, RENDER
from w2dual.config import strict_yaml
from w2dual.config.grid import grid
from w2dual.config.places import named_alone
from w2dual.config.reader import output_folder
from w2dual.decoding import decode
from w2dual.records import InputError, load_arrays, no_file, read_json, save_arrays

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """What a rule knows of an archive.

    Attributes:
        folder: of the outputs in the archive; "." for the paper. It follows from the config, and
            says nothing of the disk that they are on.
        config: resolved.
        files: outputs of rules to be kept, relative to `folder`.
        steps: recorded commands of tables and figures.
        logs: regular expressions of the logs that rules write.
        max_bytes: of the zip.
        measures_bytes: of prepared measures, together.
    """

    folder: str
    config: dict[str, Any]
    files: tuple[str, ...]
    steps: tuple[rendering.Step, ...]
    logs: tuple[str, ...]
    max_bytes: int
    measures_bytes: int

    @staticmethod
    def from_json(record: Mapping[str, Any]) -> Plan:
        """Read what the rule gives.

        Raises:
            InputError: something is missing or of another type.
        """
        listed = decode(_Listed, record, "plan of the archive")
        bounds = decode(
            _Bounds, listed.config.get("bundle"), "plan of the archive", "config.bundle"
        )
        steps = [rendering.of_command(*astuple(step)) for step in listed.steps]
        return Plan(
            output_folder(listed.config),
            listed.config,
            listed.files,
            tuple(steps),
            listed.logs,
            int(bounds.max_mb * 1e6),
            int(bounds.measures_mb * 1e6),
        )


@dataclass(frozen=True)
class _Command:
    """A job of a rule: its shell command, and its files relative to the folder of outputs."""

    rule: str
    command: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class _Listed:
    """The plan as the rule writes it (`Plan` says what is what)."""

    config: dict[str, Any]
    files: tuple[str, ...]
    steps: tuple[_Command, ...]
    logs: tuple[str, ...]


@dataclass(frozen=True)
class _Bounds:
    """The config's `bundle`, in MB."""

    max_mb: float
    measures_mb: float


# ---------------------------------------------------------------- what goes in


def one_seed(path: Path, metrics: Path) -> bytes:
    """Cut a cell's parameters to one seed: the first that has not diverged, else the first.

    Raises:
        InputError: a file cannot be used, or they are not of one cell.
    """
    arrays, metadata = load_arrays(path)
    record = read_json(metrics)
    if record["cell"]["hash"] != metadata["cell"]["hash"]:
        raise InputError(f"{path}: is of another cell than {metrics}")
    live = [entry["seed"] for entry in record["seeds"] if entry["status"] != "diverged"]
    seed = (live or metadata["seeds"])[0]
    place = metadata["seeds"].index(seed)
    cut = {name: array[place : place + 1] for name, array in arrays.items()}
    return _packed_arrays(cut, metadata | {"seeds": [seed], "cut_from": metadata["seeds"]})


def _packed_arrays(arrays: Mapping[str, Any], metadata: Mapping[str, Any]) -> bytes:
    with tempfile.TemporaryDirectory(prefix="w2dual-bundle-") as folder:
        target = Path(folder) / "arrays.safetensors"
        save_arrays(target, arrays, metadata)
        return target.read_bytes()


def machine_of(plan: Plan, root: Path, outputs: Path) -> scrub.Machine:
    """Return whose traces are taken out: this machine, and those that the run's records name."""
    hosts = set()
    for name in plan.files:
        path, metadata = outputs / name, None
        if name.endswith(".json") and path.is_file():
            metadata = read_json(path)
        elif _of_study(name) and path.is_file():
            _, metadata = load_arrays(path)
        made = metadata.get("provenance") if isinstance(metadata, dict) else None
        if isinstance(made, dict) and isinstance(made.get("host"), str):
            hosts.add(made["host"])
    texts = [json.dumps(plan.config), json.dumps(machines(plan, root, outputs))]
    texts += [cell.name for cell in grid(plan.config)]
    for name in source.files(root, outputs):
        texts.append((root / name).read_text(encoding="utf-8", errors="replace"))
    return scrub.Machine.here((root, outputs), hosts, texts)


def members(plan: Plan, root: Path, outputs: Path, machine: scrub.Machine) -> dict[str, Member]:
    """Return every member but the manifest and the crate's metadata.

    Args:
        plan: of the rule.
        root: of the checkout.
        outputs: folder of the run's outputs, on whichever disk.
        machine: whose traces are taken out.

    Raises:
        InputError: a file of the plan is missing.
    """
    found = {name: _file(root / name) for name in source.files(root, outputs)}
    kept, left_out = _within(plan, outputs)
    for name in sorted(kept | set(_logs(plan, outputs))):
        path = outputs / name
        if not path.is_file():
            raise InputError(f"{no_file(path)}; the archive needs it")
        found[_inside(plan, name)] = Member(partial(_content, path, name, machine))
    config = _without_paths(plan.config)
    steps = rendering.in_order(plan.steps)
    texts = {
        CONFIG: strict_yaml.dump(config),
        RENDER: _json(layout.commands_record(plan.folder, steps)),
        MACHINE: _json(machines(plan, root, outputs)),
        LEFT_OUT: _json(left_out),
        README: readme(plan),
    }
    for name, text in texts.items():
        scrub.check(name, text.encode(), machine)
    return found | {name: Member(partial(str.encode, text)) for name, text in texts.items()}


def _without_paths(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the config without paths of this machine, which decide nothing: files are prepared."""
    without: dict[str, Any] = named_alone(json.loads(json.dumps(config)))
    without["measures"]["benchmark"]["mirror"] = None
    return without


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, sort_keys=True) + "\n"


def _file(path: Path) -> Member:
    return Member(path.read_bytes, bool(path.stat().st_mode & 0o100))


def _inside(plan: Plan, name: str) -> str:
    return os.path.normpath(os.path.join(plan.folder, name))


def _of_study(name: str) -> bool:
    """Whether a file has arrays of a study, with provenance: neither of a cell nor of a pair."""
    if not name.endswith(".safetensors") or name.startswith("results/measures/"):
        return False
    return not name.endswith("/params.safetensors")


def _content(path: Path, name: str, machine: scrub.Machine) -> bytes:
    if name.endswith("/params.safetensors"):
        content = one_seed(path, path.with_name("metrics.json"))
    elif name.endswith(".log"):
        text = path.read_text(encoding="utf-8", errors="replace")
        content = scrub.text(text, machine).encode()
    elif name.endswith(".json"):
        content = scrub.json_text(path.read_bytes(), machine)
    elif _of_study(name):
        arrays, metadata = load_arrays(path)
        content = _packed_arrays(arrays, scrub.record(metadata, machine))
    else:
        content = path.read_bytes()
    scrub.check(name, content, machine)
    return content


def _within(plan: Plan, outputs: Path) -> tuple[set[str], dict[str, Any]]:
    """Return the files to keep, and the measures left out with their sizes: the largest, if any."""
    pairs = [name for name in plan.files if name.startswith("results/measures/")]
    sizes = {name: (outputs / name).stat().st_size for name in pairs if (outputs / name).is_file()}
    left, used = {}, 0
    for name, size in sorted(sizes.items(), key=lambda item: (item[1], item[0])):
        used += size
        if used > plan.measures_bytes:
            left[name] = {"bytes": size, "why": "beyond bundle.measures_mb; `prepare` makes it"}
    return set(plan.files) - left.keys(), left


def _logs(plan: Plan, outputs: Path) -> Iterator[str]:
    """Return the logs that a rule has written, by the rules' own patterns."""
    patterns = [re.compile(pattern) for pattern in plan.logs]
    for path in sorted((outputs / "logs").rglob("*.log")):
        name = path.relative_to(outputs).as_posix()
        if any(pattern.fullmatch(name) for pattern in patterns):
            yield name


def _records(plan: Plan, outputs: Path) -> Iterator[Any]:
    for name in sorted(plan.files):
        if name.endswith("/metrics.json"):
            yield read_json(outputs / name)


def machines(plan: Plan, root: Path, outputs: Path) -> dict[str, Any]:
    """Say what the cells were trained on, and what tables and figures are made with."""
    kinds: dict[str, dict[str, Any]] = {}
    for record in _records(plan, outputs):
        made = record["provenance"]
        facts = {key: made.get(key) for key in ("device", "devices", "python", "packages")}
        key = json.dumps(facts, sort_keys=True)
        kinds.setdefault(key, facts | {"cells": 0})["cells"] += 1
    return {
        "trained_on": [kinds[key] for key in sorted(kinds)],
        "rendered_with": provenance.package_versions(),
        "source_commit": provenance.commit(root).name,
    }


def readme(plan: Plan) -> str:
    """Say in Markdown what the archive is and how to check it."""
    preset = plan.config["preset"]
    return f"""# w2dual, preset {preset["name"]}: {preset["label"]}

A checkout of the source, with the outputs of the run in `{plan.folder}`, as one RO-Crate
(`{crate.METADATA}`, profile Workflow Run Crate). To check it on a machine with Python 3.11 or
later, neither GPU nor TeX needed, unpack and install it, then check it against the zip:

    make env
    .venv/bin/python -m w2dual verify BUNDLE.zip

`docs/reviewers.md` has the claims, where each is, and what checks it. `{MANIFEST}` has every file's
SHA-256 (`sha256sum --check {MANIFEST}`). `{CONFIG}` is the resolved config, `{RENDER}` the commands
that made tables and figures, `{MACHINE}` the devices and packages used; `{LEFT_OUT}` lists what was
too large. Parameters are those of one seed of each cell. Absolute paths and names of machines are
taken out of logs and metrics.

Licence: MIT (`LICENSE`), and for prepared measures of the Wasserstein-2 benchmark, which hold its
weights, MIT (`src/w2dual/measures/benchmark/LICENSE.benchmark.txt`). To cite: `CITATION.cff`.
"""


def run_of(plan: Plan, root: Path, outputs: Path) -> crate.Run:
    """Gather what the crate says about the run."""
    preset = plan.config["preset"]
    made = [record["provenance"] for record in _records(plan, outputs)]
    if not made:
        raise InputError("plan of the archive: has no metrics of any cell")
    return crate.Run(
        title=f"w2dual, preset {preset['name']}",
        description="The evaluation of Amos, On amortizing convex conjugates for optimal "
        f"transport, ICLR 2023, rebuilt by w2dual: {preset['label']}",
        commit=provenance.git_commit(root) or "unknown",
        config=CONFIG,
        started=min(record["started"] for record in made),
        ended=max(record["ended"] for record in made),
    )


def complete(found: Mapping[str, Member], results: Iterable[str], run: crate.Run) -> dict[str, Any]:
    """Add the crate's metadata and the manifest, which need the others' hashes."""
    made = set(results)
    files: dict[str, crate.File] = {}
    for name, member in found.items():
        content = member.read()
        files[name] = crate.File(len(content), container.sha256(content), name in made)
    hashes = {name: str(file.sha256) for name, file in files.items()}
    text = crate.metadata(files | {MANIFEST: crate.File(None, None, False)}, run).encode()
    listed = container.manifest(hashes | {crate.METADATA: container.sha256(text)}).encode()
    return {
        **found,
        crate.METADATA: Member(lambda: text),
        MANIFEST: Member(lambda: listed),
    }


def make(plan: Plan, root: Path, outputs: Path, out: Path, job: rendering.Runner) -> int:
    """Write the archive, once it has passed its own verification, and return its size in bytes.

    Args:
        plan: of the rule.
        root: of the checkout.
        outputs: folder of the run's outputs, on whichever disk.
        out: the zip.
        job: runs a recorded command, to verify the archive.

    Raises:
        InputError: a file is missing or names the machine, the archive is too large, or would not
            pass `verify`.
    """
    found = members(plan, root, outputs, machine_of(plan, root, outputs))
    results = {_inside(plan, name) for name in plan.files}
    whole = complete(found, results & found.keys(), run_of(plan, root, outputs))
    container.write(out, whole, partial(_check, out, plan.max_bytes, job))
    size = out.stat().st_size
    log.info("%s: %d files, %.1f MB, verified", out, len(whole), size / 1e6)
    return size


def _check(out: Path, max_bytes: int, job: rendering.Runner, written: Path) -> None:
    """Check an archive before it gets its name.

    Raises:
        InputError: it is too large, or does not pass `verify`.
    """
    size = written.stat().st_size
    if size > max_bytes:
        raise InputError(
            f"{out}: {size / 1e6:.0f} MB, more than bundle.max_mb = {max_bytes / 1e6:g}; "
            "raise it, or lower bundle.measures_mb"
        )
    # Networks are not evaluated again here: they are those that the metrics were just made of.
    checks, _ = verify.verify(written, job, sample=0)
    problems = [f"  {check.name}: {line}" for check in checks for line in check.problems]
    if problems:
        raise InputError(
            f"{out}: is not written, since it would not pass its own verification:\n"
            + "\n".join(problems)
        )
