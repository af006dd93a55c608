"""What the workflow plans, and what it refuses to plan."""

import resource
from pathlib import Path

import pytest

from .conftest import Checkout, copy_checkout
from .plan import planned, trained

FLOW = ("maf_moon", "rings", "moon_to_rings")


def cpu_s() -> float:
    """Seconds that ended processes have computed: however busy the machine is."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_paper_config_plans_every_cell_of_all_tables_in_time(checkout: Checkout) -> None:
    before_s = cpu_s()
    run = checkout.started("--dry-run")
    took_s = cpu_s() - before_s
    assert run.returncode == 0, run.stdout
    plan = planned(run.stdout)
    cells = 128 + 80 + 32 + 21 + 24 + 9 + 5 + 12 + 9
    assert plan["train"] == plan["cell"] == cells
    assert len(trained(run.stdout)) == cells
    assert plan["prepare"] == 8 + 10 + 4 + 1 + 3 + 1  # of images the generator once, for all pairs
    assert (plan["curves"], plan["figure"], plan["animation"]) == (cells - 9, 11, 1)
    assert (plan["conjugation_study"], plan["conjugation_figure"]) == (9, 3)
    assert (plan["celeba64_table"], plan["claims_celeba64"]) == (3, 1)
    assert (plan["aggregate_added"], plan["lagrangian_table"]) == (3, 2)
    assert (plan["start_study"], plan["start_table"], plan["start_figure"]) == (1, 2, 2)
    assert (plan["line_search"], plan["line_search_table"]) == (2, 2)
    assert took_s < 10  # which are promised, and it takes half of that


def test_one_table_plans_its_own_cells_alone(checkout: Checkout) -> None:
    run = checkout.snakemake("--dry-run", "tables/hd_mlp.tex")
    assert run.returncode == 0, run.stdout
    assert planned(run.stdout) == {
        **{"cell": 64, "prepare": 8, "train": 64},
        **{"aggregate": 1, "table": 1},
    }
    assert all("-mlp-" in cell for cell in trained(run.stdout))


def test_the_benchmarks_own_methods_plan_their_cells_alone(
    checkout: Checkout, tmp_path: Path
) -> None:
    run = checkout.snakemake("--dry-run", "tables/hd_baselines.tex")
    assert run.returncode == 0, run.stdout
    assert planned(run.stdout) == {
        **{"cell": 112, "prepare": 8, "train": 112},
        **{"aggregate_baselines": 1, "baselines_table": 1},
    }
    ours = [cell for cell in trained(run.stdout) if "-dense_" not in cell]
    assert len(ours) == 32
    assert all("-enot" in cell for cell in ours)
    none = tmp_path / "none.yaml"
    none.write_text("baselines: {methods: []}\n", encoding="utf-8")
    run = checkout.snakemake("--dry-run", "--configfile", "presets/smoke.yaml", str(none))
    assert run.returncode == 0, run.stdout
    assert {cell for cell in trained(run.stdout) if cell.startswith("hd2-")} == {
        f"hd2-{potential}-{method}"
        for potential in ("icnn", "mlp")
        for method in ("objective-none", "regression-lbfgs", "cycle-adam")
    }
    assert "rule aggregate_baselines" not in run.stdout


def test_the_table_of_the_plane_plans_its_own_cells_alone(checkout: Checkout) -> None:
    run = checkout.snakemake("--dry-run", "tables/synthetic.tex")
    assert run.returncode == 0, run.stdout
    expected = {"cell": 21, "prepare": 10, "train": 21}
    expected |= {"aggregate_synthetic": 1, "synthetic_table": 1}
    assert planned(run.stdout) == expected
    assert not [cell for cell in trained(run.stdout) if cell.startswith("hd")]


def test_the_table_of_celeba64_plans_its_own_cells_alone(
    checkout: Checkout, tmp_path: Path
) -> None:
    run = checkout.snakemake("--dry-run", "tables/celeba64.tex")
    assert run.returncode == 0, run.stdout
    expected = {"cell": 33, "prepare": 4, "train": 33}
    expected |= {"aggregate_celeba64": 1, "aggregate_celeba64_baselines": 1, "celeba64_table": 1}
    assert planned(run.stdout) == expected
    assert sum("-conv-" in cell for cell in trained(run.stdout)) == 24
    none = tmp_path / "none.yaml"
    none.write_text("celeba64_baselines: {methods: []}\n", encoding="utf-8")
    run = checkout.snakemake("--dry-run", "tables/costs_celeba64.tex")
    assert run.returncode == 0, run.stdout
    assert all("-conv-" in cell for cell in trained(run.stdout))
    assert len(trained(run.stdout)) == 24
    files = ["--configfile", "presets/smoke.yaml", str(none)]
    run = checkout.snakemake("--dry-run", *files, "--", "tables/celeba64.tex")
    assert run.returncode == 0, run.stdout
    assert trained(run.stdout) == {"celeba64_early-conv_small-regression-lbfgs"}


def test_the_study_of_conjugation_plans_the_cells_it_shows(checkout: Checkout) -> None:
    run = checkout.snakemake("--dry-run", "figures/conjugation_hd_mlp.pdf")
    assert run.returncode == 0, run.stdout
    expected = {"cell": 3, "prepare": 3, "train": 3}
    expected |= {"conjugation_study": 3, "conjugation_figure": 1}
    assert planned(run.stdout) == expected
    assert trained(run.stdout) == {f"hd{n}-mlp-regression-lbfgs" for n in (64, 128, 256)}
    run = checkout.snakemake("--dry-run", "tables/lbfgs_line_search.tex")
    expected = {"cell": 1, "prepare": 1, "train": 1}
    expected |= {"line_search": 1, "line_search_table": 1}
    assert planned(run.stdout) == expected


def test_a_timing_holds_all_cores_here_and_those_of_a_training_job_on_a_cluster(
    checkout: Checkout,
) -> None:
    """Planned again within a SLURM job, where `--cores` are the node's, it must ask for no more."""
    laptop = ("--configfile", "presets/laptop.yaml")
    for mode, preset, held in (
        ("default", laptop, 7),
        ("remote", laptop, 1),
        ("default", ("--configfile", "presets/smoke.yaml"), 1),
    ):
        run = checkout.snakemake(
            *("--dry-run", "--cores", "7", "--mode", mode, *preset),
            "--",
            "results/conjugation/lbfgs_line_search.json",
        )
        assert f"lbfgs_line_search, holding {held} core(s)" in run.stdout, run.stdout


def test_one_figure_plans_the_cells_it_shows(checkout: Checkout) -> None:
    run = checkout.snakemake("--dry-run", "figures/flow.pdf")
    assert run.returncode == 0, run.stdout
    assert planned(run.stdout) == {"cell": 3, "prepare": 3, "train": 3, "figure": 1}
    shown = {f"{pair}-icnn_leaky-regression-lbfgs_high_precision" for pair in FLOW}
    assert trained(run.stdout) == shown


def test_images_of_ones_own_are_inputs(tmp_path: Path) -> None:
    """One with its path from the checkout, and one with its full path."""
    checkout = copy_checkout(tmp_path / "checkout")
    images = [checkout.path / "pictures" / "one.png", tmp_path / "other.png"]
    config = tmp_path / "images.yaml"
    files = f"{{source: pictures/one.png, target: {images[1]}}}"
    config.write_text(f"measures: {{synthetic: {{images: {files}}}}}\n")
    target = "results/measures/images.safetensors"
    for image in images:
        run = checkout.snakemake("--dry-run", "--configfile", str(config), "--", target)
        assert run.returncode != 0
        assert "Missing input files" in run.stdout
        assert image.name in run.stdout
        image.parent.mkdir(exist_ok=True)
        image.write_bytes(b"")
    run = checkout.snakemake("--dry-run", "--configfile", str(config), "--", target)
    assert run.returncode == 0, run.stdout
    assert planned(run.stdout) == {"prepare": 1}
    assert "redundant" not in run.stdout  # what Snakemake says of a path such as ./a


def test_preset_plans_the_same_rows_in_a_folder_of_its_own(checkout: Checkout) -> None:
    run = checkout.snakemake(
        "--dry-run", "--configfile", "presets/smoke.yaml", "--", "tables/hd_mlp.tex"
    )
    assert run.returncode == 0, run.stdout
    assert planned(run.stdout) == {
        **{"cell": 3, "prepare": 1, "train": 3},
        **{"aggregate": 1, "table": 1},
    }
    assert (checkout.path / "runs" / "smoke").is_dir()
    assert not (checkout.path / "results").exists()


@pytest.mark.parametrize(
    ("yaml", "named"),
    [
        pytest.param("hd: {training: {iteration: 5}}", "hd.training.iteration", id="unknown-key"),
        pytest.param(
            "synthetic: {figures: {flow: {potential: icnn}}}",
            "synthetic.figures.flow",
            id="figure-without-cell",
        ),
    ],
)
def test_bad_config_stops_before_the_first_job_and_names_the_key(
    checkout: Checkout, tmp_path: Path, yaml: str, named: str
) -> None:
    config = tmp_path / "bad.yaml"
    config.write_text(yaml + "\n")
    run = checkout.snakemake("--cores", "1", "--configfile", str(config))
    assert run.returncode != 0
    assert f"`{named}" in run.stdout
    assert "Traceback" not in run.stdout
    assert not (checkout.path / "results").exists()


def test_missing_module_is_named(tmp_path: Path) -> None:
    checkout = copy_checkout(tmp_path / "checkout")
    (checkout.path / "src" / "w2dual" / "jobs" / "train.py").unlink()
    run = checkout.snakemake("--dry-run")
    assert run.returncode != 0
    assert "w2dual.jobs.train: no such module in" in run.stdout


def test_figure_without_a_module_is_named(checkout: Checkout, tmp_path: Path) -> None:
    config = tmp_path / "mine.yaml"
    config.write_text("synthetic: {figures: {mine: {pairs: [rings], potential: icnn_leaky}}}\n")
    run = checkout.snakemake("--dry-run", "--configfile", str(config), "--", "figures/mine.pdf")
    assert run.returncode != 0
    assert "w2dual.plots.mine: no such module in" in run.stdout
