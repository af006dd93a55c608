"""A checkout with a small run in it, made by hand but for one cell, which is trained in seconds."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from tests.unit.results.test_aggregate import plane_seed, record
from tests.unit.verdict_data import settings_json

from w2dual.__main__ import main
from w2dual.archive import bundle, container, crate
from w2dual.archive.container import MANIFEST, Archive, Member
from w2dual.config import reader
from w2dual.config.cells import Cell
from w2dual.config.grid import grid
from w2dual.jobs.dispatch import call
from w2dual.measures.pairs import gaussian
from w2dual.records import file_sha256, read_json, save_arrays, write_json, write_text

ROOT = Path(__file__).parents[2]
PRESET = {"name": "tiny", "label": "made for a test", "reduced": True}
CONFIG = {
    "preset": PRESET,
    "hd": {
        "dimensions": [2],
        "potentials": ["mlp"],
        "methods": [{"amortization": "regression", "solver": "lbfgs"}],
        "seeds": [0, 1],
        "training": {"batch_size": 64, "iterations": 20, "hidden": [16, 16]},
        "pretraining": {"iterations": 20, "min_iterations": 10},
        "evaluation": {"samples": 4096, "history_every": 20, "history_samples": 64},
        "logging": {"every": 20},
    },
    "celeba64": {"generators": []},
    "metric_recovery": {"sets": []},
    "meta_sinkhorn": {"tasks": []},
    "baselines": {"methods": []},
    "lagrangian": {"methods": []},
    "synthetic": {
        "grids": [
            {"pairs": ["gauss8"], "potentials": ["icnn_leaky"], "hidden": [8]}
            | {"methods": [{"amortization": "regression", "solver": "lbfgs"}]}
        ],
        "seeds": [0, 1],
        "figures": {},
    },
}
RUN = "runs/tiny"
HD, PLANE = "hd2-mlp-regression-lbfgs", "gauss8-icnn_leaky-regression-lbfgs"
PARTS = ("metrics.json", "history.csv", "params.safetensors")


def resolved() -> dict[str, Any]:
    """The config of the small run; figures are drawn from parameters, and there are none."""
    given = reader.read([ROOT / "config.yaml"])
    merged = reader.merge(given, CONFIG)
    merged["synthetic"]["figures"] = {"flow": {"pairs": ["gauss8"], "potential": "icnn_leaky"}}
    reader.validate(merged)
    return merged


def make(root: Path, trained: bool = True) -> tuple[Path, dict[str, Any]]:
    """Make the checkout at `root`: give it and the plan of its archive.

    Without training, both cells have numbers that nobody trained; their metrics agree with their
    files all the same.
    """
    for name in ("LICENSE", "CITATION.cff", "Snakefile", "README.md"):
        root.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "src", root / "src", ignore=ignored)
    shutil.copytree(ROOT / "tables" / "published", root / "tables" / "published")
    run = root / RUN
    given = resolved()
    cells = {cell.name: cell for cell in grid(given)}
    assert cells.keys() == {HD, PLANE}
    pair = run / "results" / "measures" / "hd2.safetensors"
    save_arrays(pair, *gaussian.draw(2, 0))
    if trained:
        train(cells[HD], run, pair)
    else:
        untrained(cells[HD], run, pair)
    by_hand(cells[PLANE], run, read_json(run / "results" / "train" / HD / "metrics.json"))
    steps = list(commands(cells))
    for step in steps:
        rendering(step["command"], run)
    write_text(run / "logs" / "train" / f"{HD}.log", f"read {root}/x.pt and /some/where/y.pt\n")
    write_text(run / "logs" / "stray.log", "no rule wrote this\n")
    write_text(run / "evaluation.pdf", "%PDF made by hand\n")
    files = [f"results/train/{name}/{part}" for name in cells for part in PARTS]
    files += ["results/measures/hd2.safetensors", "evaluation.pdf"]
    files += [name for step in steps for name in step["outputs"]]
    plan = {
        "config": given,
        "files": sorted(files),
        "steps": steps,
        "logs": [r"logs/train/[^/]*\.log"],
    }
    return root, plan


def train(cell: Cell, run: Path, pair: Path) -> None:
    out = run / "results" / "train" / cell.name
    metrics, history, params = (str(out / name) for name in PARTS)
    code = main(
        ["train", "--cell", json.dumps(cell.to_json()), "--preset", json.dumps(PRESET)]
        + ["--measures", str(pair), "--metrics", metrics, "--history", history]
        + ["--params", params, "--checkpoints", str(run / "checkpoints")]
    )
    assert code == 0


def untrained(cell: Cell, run: Path, pair: Path) -> None:
    """A cell of the benchmark in no time."""
    out = run / "results" / "train" / cell.name
    measures = {"source": "closed form", "sha256": file_sha256(pair)}
    made = record()
    made |= {"cell": cell.to_json(), "preset": PRESET, "measures": made["measures"] | measures}
    made["provenance"] |= {"started": "2026-01-01T00:00:00Z", "host": "node1"}
    write_json(out / "metrics.json", made)
    write_text(out / "history.csv", "seed,step\n0,0\n1,0\n")
    metadata = {"format": 1, "cell": cell.to_json(), "seeds": [0, 1]}
    save_arrays(out / "params.safetensors", {"potential/kernel": np.ones((2, 3))}, metadata)


def by_hand(cell: Cell, run: Path, like: dict[str, Any]) -> None:
    """A cell on the plane, with numbers that nobody trained; its second seed has diverged."""
    out = run / "results" / "train" / cell.name
    seeds = [plane_seed(0), plane_seed(1, None, "diverged")]
    made = like | {"cell": cell.to_json(), "seeds": seeds}
    made |= {"measures": {"source": "closed form", "sha256": "0" * 64}}
    made |= {"headline": {"column": "w2_forward", "label": "W2 squared"}}
    write_json(out / "metrics.json", made)
    write_text(out / "history.csv", "seed,step\n0,0\n1,0\n")
    arrays = {"potential/kernel": np.ones((2, 3), np.float32)}
    arrays["potential/kernel"][1] = np.nan
    metadata = {"format": 1, "cell": cell.to_json(), "seeds": [0, 1]}
    save_arrays(out / "params.safetensors", arrays, metadata)


def commands(cells: dict[str, Cell]) -> Any:
    """What rules would run, from the folder of outputs."""
    published = "../../tables/published"
    small = settings_json((0, 1)) | {"preset": PRESET, "dimensions": [2]}
    small |= {"methods": CONFIG["hd"]["methods"]}
    training, evaluation = CONFIG["hd"]["training"], CONFIG["hd"]["evaluation"]
    small["budget"] = {name: training[name] for name in ("iterations", "batch_size")}
    small["budget"] |= {"seeds": [0, 1], "evaluation_samples": evaluation["samples"]}
    text = json.dumps(small)
    of_table = json.dumps({key: value for key, value in small.items() if key != "verdict"})
    for kind, name, cell in (("hd", "hd_mlp", HD), ("synthetic", "synthetic", PLANE)):
        metrics = f"results/train/{cell}/metrics.json"
        expected = json.dumps([{"name": cell, "hash": cells[cell].hash}])
        words = ["aggregate", "--kind", kind, "--metrics", metrics, "--cells", expected]
        yield command("aggregate", words, [metrics], {"--out": f"results/metrics/{name}.csv"})
    tidy = "results/metrics/hd_mlp.csv"
    words = ["table", "--metrics", tidy, "--potential", "mlp", "--published", published]
    out = {"--tex": "tables/hd_mlp.tex", "--csv": "tables/hd_mlp.csv"}
    yield command("table", [*words, "--settings", of_table], [tidy], out)
    words = ["verdict", "--metrics", tidy, "--published", published, "--settings", text]
    out = {"--tex": "tables/verdict_hd.tex", "--csv": "tables/verdict_hd.csv"}
    yield command("verdict", words, [tidy], out)
    words = ["table-page", "--csv", out["--csv"]]
    page = {"--html": "tables/verdict_hd.html"}
    yield command("table_page", words, [out["--csv"]], page)
    words = ["claims", "--verdict", out["--csv"], "--settings", text]
    result = {"--tex": "tables/claims.tex", "--csv": "tables/claims.csv"}
    yield command("claims", words, [out["--csv"]], result)


def command(rule: str, words: list[str], inputs: list[str], out: dict[str, str]) -> dict[str, Any]:
    named = [word for pair in out.items() for word in pair]
    line = shlex.join(["python", "-m", "w2dual", *words, *named])
    return {"rule": rule, "command": f"{line} > logs/{rule}.log 2>&1", "inputs": inputs} | {
        "outputs": list(out.values())
    }


def rendering(line: str, run: Path) -> None:
    """Run a command as its rule would."""
    from w2dual.archive import steps as rendering

    rendering.run(rendering.of_command("a", line, [], []), run.parents[1], RUN, call)


# ---------------------------------------------------------------- archives that were tampered with

Contents = dict[str, bytes]


def contents(path: Path) -> Contents:
    with Archive(path) as opened:
        return {name: opened.read(name) for name in opened.names}


def rehashed(found: Contents) -> Contents:
    """Make manifest and crate agree with the files again, as a careful forger would."""
    record = json.loads(found[crate.METADATA])
    for entity in record["@graph"]:
        if "sha256" in entity and entity["@id"] in found:
            entity["sha256"] = container.sha256(found[entity["@id"]])
    (whole,) = (entity for entity in record["@graph"] if entity["@id"] == "./")
    listed = {part["@id"] for part in whole["hasPart"]} | {MANIFEST, crate.METADATA}
    for name in sorted(found.keys() - listed):
        entity = {"@id": name, "@type": "File", "name": name}
        record["@graph"].append(entity | {"sha256": container.sha256(found[name])})
        whole["hasPart"].append({"@id": name})
    found = found | {crate.METADATA: json.dumps(record).encode()}
    hashes = {name: container.sha256(text) for name, text in found.items() if name != MANIFEST}
    return found | {MANIFEST: container.manifest(hashes).encode()}


def rewritten(path: Path, out: Path, edit: Callable[[Contents], Any], rehash: bool = False) -> Path:
    """Write an archive again after `edit` has changed its contents in place."""
    found = contents(path)
    edit(found)
    if rehash:
        found = rehashed(found)
    members = {
        name: Member(lambda text=text: text, executable(name)) for name, text in found.items()
    }
    container.write(out, members)
    return out


# ---------------------------------------------------------------- traps

FOLDERS = ("", f"{RUN}/", f"{RUN}/tables/", f"{RUN}/results/metrics/", "src/")
MODULES = (
    *("json", "argparse", "logging", "csv", "yaml", "numpy", "pandas", "jax", "jinja2", "seaborn"),
    *("matplotlib", "conftest", "sitecustomize", "usercustomize", "evil"),
)
"""What the program imports, early or late; what Python and pytest look for; what settings name."""
PROGRAMS = ("git", "uname", "fc-list", "latexmk", "pdflatex", "python", "gcc", "ldconfig")


def planted(found: Contents, markers: Path) -> None:
    """Plant traps wherever something could be found by its name."""

    def python(name: str) -> bytes:
        return f"open({str(markers / name)!r}, 'w').close()\n".encode()

    def shell(name: str) -> bytes:
        return f"#!/bin/sh\ntouch {markers / name}\n".encode()

    for folder in FOLDERS:
        place = folder.replace("/", "-")
        for name in MODULES:
            found[f"{folder}{name}.py"] = python(f"{place}{name}")
        for name in PROGRAMS:
            found[f"{folder}{name}"] = shell(f"{place}{name}")
        found[f"{folder}trap.pth"] = b"import evil\n"
        found[f"{folder}matplotlibrc"] = b"backend: module://evil\ntext.usetex: True\n"
    for name in ("Snakefile", f"{RUN}/Snakefile"):
        found[name] = python("Snakefile")
    found["Makefile"] = f"all verify rebuild:\n\ttouch {markers / 'Makefile'}\n".encode()
    found["scripts/install_tex.sh"] = shell("install_tex.sh")
    found[f"{RUN}/scripts/install_tex.sh"] = shell("install_tex.sh")
    found[f"{RUN}/w2dual/__init__.py"] = python("w2dual-of-outputs")
    for name in found:
        if name.startswith("src/w2dual/") and name.endswith(".py"):
            found[name] = python(f"own-{Path(name).stem}") + found[name].replace(
                b"from __future__ import annotations\n", b""
            )


def executable(name: str) -> bool:
    return Path(name).name in PROGRAMS or name.endswith(".sh")


def plan_of(record: dict[str, Any]) -> bundle.Plan:
    return bundle.Plan.from_json(json.loads(json.dumps(record)))
