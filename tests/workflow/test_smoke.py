"""The whole workflow on real jobs at a budget of seconds, and what makes which of them run again.

Tests run in the order of the file, on one folder: each but the last two leaves it complete.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from w2dual import closure
from w2dual.config.cells import Cell, modules, pair_modules, preparation_modules
from w2dual.config.reader import load, pairs
from w2dual.results import measured
from w2dual.subcommands import JOBS

from .conftest import Checkout, copy_checkout
from .plan import planned, trained

CELL = "hd2-mlp-objective-none"
TABLE = "tables/hd_mlp.tex"
"""Has that cell."""
BENCHMARK = {f"hd2-mlp-{method}" for method in ("objective-none", "regression-lbfgs")}
PLANE, OTHER = (
    f"{pair}-icnn_smooth-regression-lbfgs_high_precision" for pair in ("maf_moon", "images")
)
"""The second is in no preset but `MORE`."""
CELLS = BENCHMARK | {PLANE}
FIGURES = ("flow",)
MORE_FIGURES = ("transport", "potential", "density", "landscape", "interpolation", "overview")
STUDIES = ("conjugation_hd_mlp",)
COSTS = ("runtime_hd", "conjugation_iterations", "conjugation_time")
ACCURACY = ("accuracy_vs_cost", "accuracy_vs_dimension", "accuracy_over_seeds")
SETTINGS = tuple(f"hyperparameters_{name}" for name in ("hd", "baselines", "synthetic", "celeba64"))
VERDICT = {"verdict": 1, "claims": 1, "verdict_figure": 1}
PRESET = """\
preset: {name: tiny, label: "a test of the workflow", reduced: true}
measures:
  benchmark:
    sources: [mirror, generated]
    moment_samples: 4096
    generated: {iterations: 100, batch_size: 64, pretraining_iterations: 20}
hd:
  potentials: [mlp]
  methods:
    - {amortization: objective, solver: none}
    - {amortization: regression, solver: lbfgs}
  training: {batch_size: 64, iterations: 40, hidden: [8, 8]}
  pretraining: {iterations: 20, min_iterations: 10}
  evaluation: {samples: 512, history_every: 20, history_samples: 256}
  logging: {every: 20}
baselines: {methods: []}
conjugation:
  line_search: {points: 16, rows: [ours_parallel, ours_sequential, optimistix]}
  wolfe_vs_armijo: {points: 16}
  timing: {repetitions: 2, block_s: 0.01, slow_s: 0.1}
celeba64: {generators: []}
lagrangian: {methods: []}
metric_recovery: {sets: []}
meta_sinkhorn: {tasks: []}
meta_color: {methods: []}
synthetic:
  grids:
    - pairs: [maf_moon]
      potentials: [icnn_smooth]
      methods: [{amortization: regression, solver: lbfgs_high_precision}]
      hidden: [8, 8]
  seeds: [0]
  training: {batch_size: 64, iterations: 40, model_hidden: [8, 8]}
  pretraining: {iterations: 20, min_iterations: 10}
  evaluation: {samples: 64, history_every: 20, history_samples: 64}
  logging: {every: 20}
  figures:
    transport: null
    potential: null
    flow: {pairs: [maf_moon], potential: icnn_smooth}
    density: null
    landscape: null
    interpolation: null
    overview: null
"""
"""Each rule but that of animations: more jobs of a rule take seconds, and say no more of it."""
MORE = """\
synthetic:
  grids:
    - pairs: [maf_moon, images]
      potentials: [icnn_smooth]
      methods: [{amortization: regression, solver: lbfgs_high_precision}]
      hidden: [8, 8]
  figures:
    transport: {pairs: [maf_moon], potential: icnn_smooth}
    potential: {pairs: [maf_moon], potential: icnn_smooth}
    density: {pairs: [maf_moon], potential: icnn_smooth}
    landscape: {pairs: [maf_moon], potential: icnn_smooth}
    interpolation: {pairs: [images], potential: icnn_smooth}
    overview: {pairs: [maf_moon], potential: icnn_smooth}
"""
"""A pair more, and the other figures."""

AT_EXIT = """\
import atexit, json, os, sys
def note():
    if len(sys.argv) > 1 and sys.argv[0].endswith("w2dual/__main__.py"):
        names = sorted(name for name in sys.modules if name.split(".")[0] == "w2dual")
        run = {"job": sys.argv[1], "argv": sys.argv, "cwd": os.getcwd(), "modules": names}
        with open(os.path.join(FOLDER, str(os.getpid())), "w") as stream:
            json.dump(run, stream)
atexit.register(note)
"""

pytestmark = pytest.mark.slow


class Smoke:
    """The workflow at the tiny preset, in one copy of the checkout."""

    def __init__(self, checkout: Checkout) -> None:
        self.checkout = checkout
        self.outputs = checkout.path / "runs" / "tiny"
        (checkout.path / "presets" / "tiny.yaml").write_text(PRESET)
        self.configs = [checkout.path / "presets" / name for name in ("smoke.yaml", "tiny.yaml")]
        self.loaded = checkout.path.parent / "loaded"
        self.loaded.mkdir()
        # Python imports a module of this name, if there is one, when it starts.
        text = AT_EXIT.replace("FOLDER", repr(str(self.loaded)))
        (checkout.path / "src" / "sitecustomize.py").write_text(text)

    def snakemake(
        self,
        *arguments: str,
        target: str = "everything_but_pdf",
        more: str = "",
        process: bool = False,
    ) -> str:
        """Run it, which must go well.

        Args:
            arguments: options of Snakemake.
            target: what to make, a word each.
            more: YAML that is merged over the preset.
            process: in a process of its own, which has a hash seed of its own.
        """
        code, output = self.attempt(*arguments, target=target, more=more, process=process)
        assert code == 0, output
        return output

    def attempt(
        self,
        *arguments: str,
        target: str = "everything_but_pdf",
        more: str = "",
        process: bool = False,
    ) -> tuple[int, str]:
        """Run it; gives the exit code and the output."""
        configs = ["presets/smoke.yaml", "presets/tiny.yaml"]
        if more:
            (self.checkout.path / "presets" / "more.yaml").write_text(more)
            configs.append("presets/more.yaml")
        run = (self.checkout.started if process else self.checkout.snakemake)(
            "--cores",
            "2",
            "--show-failed-logs",
            *arguments,
            "--configfile",
            *configs,
            "--",
            *target.split(),
        )
        return run.returncode, run.stdout

    def edit(self, module: str, line: str) -> None:
        """Add a line to a module, which may be new."""
        path = self.checkout.path / "src" / "w2dual" / module
        path.write_text((path.read_text() if path.exists() else "") + f"\n{line}\n")


@pytest.fixture(scope="module")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Smoke:
    made = Smoke(copy_checkout(tmp_path_factory.mktemp("smoke") / "checkout"))
    made.snakemake()
    return made


def test_makes_tables_figures_and_records(smoke: Smoke) -> None:
    names = ("hd_mlp", "trivial_maps", "synthetic", *COSTS, *SETTINGS)
    names += ("lbfgs_line_search", "wolfe_vs_armijo", "verdict_hd", "claims")
    tables = {f"tables/{name}.{ext}" for name in names for ext in ("tex", "csv")}
    drawn = [*(f"curves_{cell}" for cell in CELLS), *FIGURES, *ACCURACY, *STUDIES, "verdict_hd"]
    figures = {f"figures/{name}.{ext}" for name in drawn for ext in ("pdf", "png")}
    records = {
        f"results/train/{cell}/{name}"
        for cell in CELLS
        for name in ("metrics.json", "history.csv", "params.safetensors")
    }
    for name in tables | figures | records:
        assert (smoke.outputs / name).stat().st_size > 0, name
    made = {path.name for path in (smoke.outputs / "figures").iterdir()}
    assert made == {Path(name).name for name in figures}


def test_leaves_the_root_to_the_paper(smoke: Smoke) -> None:
    root = smoke.checkout.path
    assert not (root / "results").exists()
    assert {path.name for path in (root / "tables").iterdir()} <= {"published", "README.md"}
    assert {path.name for path in (root / "figures").iterdir()} <= {"README.md"}


@pytest.mark.tex
def test_makes_the_pdf(smoke: Smoke) -> None:
    smoke.snakemake(target="all")
    assert (smoke.outputs / "evaluation.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.tex
def test_makes_an_archive_that_verifies_and_the_same_one_again(smoke: Smoke) -> None:
    """Verified in an empty folder, by the code in it."""
    smoke.snakemake(target="bundle")
    archive = smoke.outputs / "bundle.zip"
    before = archive.read_bytes()
    folder = smoke.checkout.path.parent / "unpacked"
    shutil.rmtree(folder, ignore_errors=True)
    commands = (
        ["unpack", str(archive), "--into", str(folder)],
        ["verify", str(archive), "--sample", "1"],
    )
    for place, command in zip((smoke.checkout.path, folder), commands, strict=True):
        run = subprocess.run(
            [sys.executable, "-m", "w2dual", *command],
            cwd=place,
            env=os.environ | {"PYTHONPATH": str(place / "src")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 0, run.stdout + run.stderr
    assert "**PASSED**" in run.stdout
    assert "the code that verifies is not" not in run.stdout
    archive.unlink()
    smoke.snakemake(target="bundle")
    assert archive.read_bytes() == before


@pytest.mark.tex
def test_the_report_is_one_page_that_needs_no_network(smoke: Smoke) -> None:
    assert "Nothing to be done" in smoke.snakemake(target="all")  # the PDF is there
    report = smoke.outputs / "report.html"
    style = smoke.checkout.path / "rules" / "report.css"
    smoke.snakemake("--report", str(report), "--report-stylesheet", str(style), target="all")
    text = report.read_text()
    assert style.read_text().splitlines()[-1] in text
    for category in (
        *("Verdict", "Tables", "Run time", "Settings", "Evaluation"),
        *("Figures of the benchmark", "Figures on the plane", "Training curves"),
    ):
        assert f'"{category}"' in text
    pages = sorted(path.name for path in (smoke.outputs / "tables").glob("*.html"))
    tables = sorted(path.stem for path in (smoke.outputs / "tables").glob("*.csv"))
    assert [Path(page).stem for page in pages] == tables
    for page in pages:
        assert f'"tables/{page}": {{' in text
    assert not re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=.https?://", text)
    report.unlink()


def test_second_run_has_nothing_to_do(smoke: Smoke) -> None:
    assert "Nothing to be done" in smoke.snakemake(process=True)


def test_other_words_for_the_preset_train_nothing(smoke: Smoke) -> None:
    output = smoke.snakemake("--dry-run", more="preset: {label: other words}")
    assert planned(output) == {
        "table": 1,
        "trivial_table": 1,
        "synthetic_table": 1,
        "cost_table": len(COSTS),
        "accuracy_figure": len(ACCURACY),
        "hyperparameters": len(SETTINGS),
        "table_page": 1 + 1 + len(COSTS) + len(SETTINGS) + 2,
        **VERDICT,
        "everything_but_pdf": 1,
    }


def test_other_checkpoints_and_a_moved_mirror_train_nothing(smoke: Smoke, tmp_path: Path) -> None:
    more = f"""\
checkpoint: {{every_s: 7.5, keep: 3}}
measures: {{benchmark: {{mirror: {tmp_path}}}}}
"""
    assert "Nothing to be done" in smoke.snakemake("--dry-run", more=more)
    assert list((smoke.outputs / "checkpoints").iterdir()) == []  # none is left


def test_changed_solver_trains_the_cells_that_use_it(smoke: Smoke) -> None:
    output = smoke.snakemake("--dry-run", more="solvers: {lbfgs: {history: 5}}")
    using = {cell for cell in CELLS if cell.endswith("-lbfgs")}
    assert trained(output) == using
    assert planned(output)["cell"] == len(using)


def test_records_of_cells_that_are_lost_or_written_again_train_nothing(smoke: Smoke) -> None:
    cells = smoke.outputs / "results" / "cells"
    assert {path.stem for path in cells.iterdir()} == set(CELLS)
    aside = cells.rename(cells.with_name("aside"))
    cells.mkdir()
    shutil.copy(aside / f"{CELL}.json", cells)  # written now, and the others are lost
    assert "Nothing to be done" in smoke.snakemake("--dry-run")
    shutil.rmtree(cells)
    aside.rename(cells)


def test_changed_settings_of_the_plane_train_its_cells_alone(smoke: Smoke) -> None:
    output = smoke.snakemake("--dry-run", more="synthetic: {evaluation: {epsilon: 0.1}}")
    assert trained(output) == {PLANE}
    # Of its pair, and of one that no cell has.
    more = "measures: {synthetic: {maf_moon: {source: rings}, images: {scale: 9.0}}}"
    output = smoke.snakemake("--dry-run", more=more)
    assert trained(output) == {PLANE}
    assert planned(output)["prepare"] == 1


def test_another_pair_and_another_cell_for_a_figure_make_that_cell_and_figure(
    smoke: Smoke,
) -> None:
    more = MORE + "    flow: {pairs: [images], potential: icnn_smooth}\n"
    output = smoke.snakemake("--dry-run", more=more)
    assert trained(output) == {OTHER}
    assert planned(output) == {
        "prepare": 1,
        "cell": 1,
        "train": 1,
        "aggregate_synthetic": 1,
        "synthetic_table": 1,
        "hyperparameters": 1,
        "table_page": 2,
        "curves": 1,
        "figure": len(MORE_FIGURES) + 1,
        "animation": 1,
        "everything_but_pdf": 1,
    }


def test_edited_modules_rerun_the_jobs_that_load_them(smoke: Smoke) -> None:
    module = smoke.checkout.path / "src" / "w2dual"
    edited = ("report/tables/hd.py", "conjugate/adam.py plots/flow.py", "training/methods/dual.py")
    texts = {name: (module / name).read_text() for names in edited for name in names.split()}
    plans = []
    for names in edited:  # each on top of the ones before
        for name in names.split():
            smoke.edit(name, "ADDED = 1")
        plans.append(planned(smoke.snakemake("--dry-run")))
    for name, text in texts.items():
        (module / name).write_text(text)

    tables, more, dual = plans
    assert "train" not in tables
    assert tables["table"] == 1
    assert "figure" not in tables
    # No cell here trains with Adam; the study of conjugation runs it, and draws no flow.
    studies = {"conjugation_study": len(STUDIES), "conjugation_figure": len(STUDIES)}
    assert more == tables | studies | {"figure": 1}
    assert dual["train"] == len(CELLS)
    assert dual["figure"] == len(FIGURES)


def test_comments_and_kinds_that_no_cell_has_rerun_nothing(smoke: Smoke) -> None:
    module = smoke.checkout.path / "src" / "w2dual"
    commented = ("training/methods/dual.py", "records.py", "report/tables/hd.py")
    texts = {name: (module / name).read_text() for name in commented}
    for name in commented:
        smoke.edit(name, "# A comment.")
    kinds = ("conjugate/mine.py", "potentials/mine.py", "measures/pairs/mine.py", "plots/mine.py")
    for name in kinds:
        smoke.edit(name, "def make(settings): ...")
    output = smoke.snakemake("--dry-run")
    for name, text in texts.items():
        (module / name).write_text(text)
    for name in kinds:
        (module / name).unlink()
    assert "Nothing to be done" in output


FINDS_THE_JOB = {"w2dual.jobs.dispatch", "w2dual.subcommands"}
"""Loaded by every job, to find its module and its options."""


def test_a_job_loads_nothing_that_its_digest_leaves_out(smoke: Smoke) -> None:
    """`sys.modules` at the end of each real job, against the closure that its rule depends on."""
    jobs = checked_jobs(smoke)
    assert jobs >= {"prepare", "train", "figure", "line-search", "table"}


def checked_jobs(smoke: Smoke) -> set[str]:
    """Check what all jobs so far have loaded; return their names."""
    loaded = [json.loads(path.read_text()) for path in smoke.loaded.iterdir()]
    config = load([smoke.checkout.path / "config.yaml", *smoke.configs])
    rules = "".join(path.read_text() for path in (smoke.checkout.path / "rules").glob("*.smk"))
    for run in loaded:
        if f"python -m w2dual {run['job']} " not in rules:
            continue  # called by a test
        job = run["job"].replace("-", "_")
        files = closure.closure(["environment", f"jobs.{job}", *kinds_of_run(run, config)])
        known = {name.removesuffix(".py").removesuffix("/__init__") for name in files}
        seen = {name.replace(".", "/") for name in set(run["modules"]) - FINDS_THE_JOB}
        assert seen <= known, (run["job"], seen - known)
    return {run["job"] for run in loaded}


def kinds_of_run(run: dict[str, Any], config: dict[str, Any]) -> list[str]:
    """The modules that a job loads by names in its config, from its command line."""
    words, folder, kinds = run["argv"], Path(run["cwd"]), []
    for word in words:
        if re.fullmatch(r"results/(cells/.*|train/.*/metrics)\.json", word):
            record = json.loads((folder / word).read_text())
            cell = Cell.from_json(record.get("cell", record))
            kinds += [*modules(cell), *pair_modules(pairs(config)[cell.pair]["kind"])]
    if run["job"] == "figure":
        kinds.append(f"plots.{words[2]}")
    if run["job"] == "prepare":
        kinds += preparation_modules(json.loads(words[words.index("--settings") + 1])["kind"])
    if run["job"] == "bundle":  # it verifies what it wrote, and so makes the tables again
        kinds += [f"jobs.{n.replace('-', '_')}" for n, known in JOBS.items() if known.exact]
        kinds += [f"results.measured.{kind}" for kind in measured.kinds()]
    if run["job"] == "aggregate" and "--kind" in words:
        kinds.append(measured.module_of(words[words.index("--kind") + 1]))
    if run["job"] == "curves":
        record = json.loads((folder / words[words.index("--metrics") + 1]).read_text())
        kinds.append(f"results.measured.{measured.headlines()[record['headline']['column']]}")
    if run["job"] == "trivial":
        kinds += pair_modules("benchmark")
    if run["job"] in ("conjugation-study", "line-search"):
        kinds.append("conjugate.lbfgs")
    if run["job"] == "conjugation-study":
        kinds.append("conjugate.adam")
    return kinds


def test_a_cell_on_the_plane_has_what_depends_on_it_made_again(smoke: Smoke) -> None:
    metrics = smoke.outputs / "results" / "train" / PLANE / "metrics.json"
    metrics.rename(metrics.with_suffix(".aside"))
    output = smoke.snakemake("--dry-run")
    metrics.with_suffix(".aside").rename(metrics)
    assert trained(output) == {PLANE}
    assert planned(output) == {
        "train": 1,
        "aggregate_synthetic": 1,
        "synthetic_table": 1,
        "table_page": 1,
        "curves": 1,
        "figure": len(FIGURES),
        "everything_but_pdf": 1,
    }
    assert "Nothing to be done" in smoke.snakemake()


def test_config_that_cannot_be_run_leaves_no_output(smoke: Smoke) -> None:
    started = time.time()
    code, output = smoke.attempt(more="hd: {potentials: [lenet]}")
    assert code != 0
    assert "lenet" in output
    assert not [p for p in smoke.outputs.rglob("*.tex") if p.stat().st_mtime > started]


def test_deleted_metrics_are_made_again_with_what_depends_on_them(smoke: Smoke) -> None:
    (smoke.outputs / "results" / "train" / CELL / "metrics.json").unlink()
    output = smoke.snakemake("--dry-run")
    assert trained(output) == {CELL}
    assert planned(output) == {
        "train": 1,
        "aggregate": 1,
        "table": 1,
        "cost_table": len(COSTS),
        "table_page": 1 + len(COSTS) + len(("verdict_hd", "claims")),
        "accuracy_figure": len(ACCURACY),
        "curves": 1,
        **VERDICT,
        "everything_but_pdf": 1,
    }
    # That much of it. The table alone would do with its aggregate, which is there.
    some = f"results/train/{CELL}/metrics.json {TABLE}"
    smoke.snakemake(target=some)
    assert "Nothing to be done" in smoke.snakemake("--dry-run", target=some)


def test_corrupt_metrics_fail_the_aggregation_and_are_named(smoke: Smoke) -> None:
    metrics = smoke.outputs / "results" / "train" / CELL / "metrics.json"
    metrics.write_text(metrics.read_text()[:-5])
    code, output = smoke.attempt(target=TABLE)
    assert code != 0
    assert f"results/train/{CELL}/metrics.json" in output
    assert "Traceback" not in output
    assert not (smoke.outputs / "results" / "metrics" / "hd_mlp.csv").exists()
    assert not list((smoke.outputs / "results" / "metrics").glob(".hd_mlp*"))


@pytest.mark.long
def test_more_figures_and_what_moves(tmp_path: Path) -> None:
    """In a folder of its own, since no other test runs beside those that are long."""
    smoke = Smoke(copy_checkout(tmp_path / "checkout"))
    (smoke.checkout.path / "presets" / "more.yaml").write_text(MORE)
    smoke.configs.append(smoke.checkout.path / "presets" / "more.yaml")
    drawn = [f"figures/{name}.{ext}" for name in MORE_FIGURES for ext in ("pdf", "png")]
    drawn.append("figures/interpolation.gif")
    smoke.snakemake(target=" ".join(drawn), more=MORE)
    for name in drawn:
        assert (smoke.outputs / name).stat().st_size > 0, name
    assert checked_jobs(smoke) == {"prepare", "train", "figure"}
