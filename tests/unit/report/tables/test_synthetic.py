"""The table of the plane on hand-built frames: statistics, floors, order, divergence, refusals."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.unit.config.changed import load
from tests.unit.results.test_aggregate import expected, plane_record, plane_seed, write

from w2dual.config import arguments
from w2dual.config.grid import cells_in
from w2dual.config.names import method_words
from w2dual.jobs import synthetic_table as synthetic_table_job
from w2dual.records import InputError
from w2dual.report.latex import build_pdf, escape
from w2dual.report.tables import synthetic
from w2dual.results import aggregate
from w2dual.results.measured.synthetic import MEASURED

MOON = [f"maf_moon-{potential}-regression-lbfgs" for potential in ("icnn_leaky", "mlp_leaky")]
GAUSS = "gauss8-icnn_leaky-regression-lbfgs"
SMOOTH = "maf_moon-icnn_smooth-regression-lbfgs"
CELLS = [*MOON, GAUSS, SMOOTH]


def settings(**changes: Any) -> dict[str, Any]:
    return {
        "preset": {"name": "smoke", "label": "smoke & mirrors", "reduced": False},
        "budget": {"iterations": 50001, "batch_size": 10000, "seeds": [0, 1]}
        | {"evaluation_samples": 2048},
        "epsilon": 0.05,
    } | changes


def records() -> dict[str, dict[str, Any]]:
    found = {}
    for name in CELLS:
        pair, potential, *_ = name.split("-")
        found[name] = plane_record(pair, potential)
    return found


def frame(cells: dict[str, dict[str, Any]], folder: Path) -> pd.DataFrame:
    ordered = list(cells.values())
    out = folder / "synthetic.csv"
    aggregate.aggregate(write(folder, *ordered), expected(*ordered), out, MEASURED)
    return aggregate.read(out, MEASURED)


def rendered(
    cells: dict[str, dict[str, Any]], folder: Path, **changes: Any
) -> tuple[pd.DataFrame, str]:
    chosen = synthetic.SyntheticSettings.from_json(settings(**changes))
    tidy = synthetic.synthetic_tidy(frame(cells, folder), CELLS, chosen)
    return tidy, synthetic.synthetic_tex(tidy, chosen)


def entry(tidy: pd.DataFrame, cell: str, quantity: str) -> pd.Series:
    found = tidy[(tidy["cell"] == cell) & (tidy["quantity"] == quantity)]
    assert len(found) == 1
    return found.iloc[0]


def line(tex: str, *words: str) -> str:
    (found,) = [row for row in tex.splitlines() if all(word in row for word in words)]
    return found


def test_mean_and_std_over_seeds_above_the_floor(tmp_path: Path) -> None:
    cells = records()
    cells[GAUSS]["seeds"][0] |= {"w2_forward": 0.20, "w2_floor_forward": 0.05}
    cells[GAUSS]["seeds"][1] |= {"w2_forward": 0.30, "w2_floor_forward": 0.07}
    tidy, tex = rendered(cells, tmp_path)
    row = entry(tidy, GAUSS, "w2_forward")
    assert row["mean"] == pytest.approx(0.25)
    assert row["std"] == pytest.approx(0.05)  # ddof 0; ddof 1 would give 0.071
    assert row["floor"] == pytest.approx(0.06)
    assert math.isnan(entry(tidy, GAUSS, "monge_gap_forward")["floor"])
    assert r"0.250 {\scriptsize$\pm$0.050}" in line(tex, "8 Gaussians")
    assert r"{\scriptsize floor} & {\scriptsize 0.0600} &" in tex


def test_rows_by_pair_then_potential_in_the_order_of_the_cells(tmp_path: Path) -> None:
    tidy, tex = rendered(records(), tmp_path)
    assert tidy["cell"].drop_duplicates().tolist() == [*MOON, SMOOTH, GAUSS]
    assert len(tidy) == 4 * len(synthetic.QUANTITIES)
    body = tex[tex.index(r"\midrule") : tex.index(r"\bottomrule")].splitlines()[1:]
    assert [row.split(" & ")[0] for row in body if row] == [
        "Moon",
        "",
        "",
        "",
        r"\addlinespace 8 Gaussians",
        "",
    ]
    assert [row.split(" & ")[1] for row in body if row] == [
        "ICNN, leaky ReLU",
        "MLP, leaky ReLU",
        "ICNN, softplus",
        r"{\scriptsize floor}",
        "ICNN, leaky ReLU",
        r"{\scriptsize floor}",
    ]


def test_one_diverged_seed_makes_every_entry_infinite_and_counted(tmp_path: Path) -> None:
    cells = records()
    cells[GAUSS]["seeds"][1] = plane_seed(1, None, "diverged")
    tidy, tex = rendered(cells, tmp_path)
    row = entry(tidy, GAUSS, "w2_inverse")
    assert math.isinf(row["mean"])
    assert (row["seeds"], row["diverged_seeds"]) == (2, 1)
    assert line(tex, "8 Gaussians").count("diverged (1/2)") == len(synthetic.QUANTITIES)
    assert "which makes the mean infinite" in tex
    assert "diverged" not in rendered(records(), tmp_path)[1]


def test_finished_seed_without_one_number_is_infinite_there_alone(tmp_path: Path) -> None:
    cells = records()
    cells[GAUSS]["seeds"][1]["sinkhorn_inverse"] = None
    tidy, tex = rendered(cells, tmp_path)
    assert entry(tidy, GAUSS, "sinkhorn_inverse")["diverged_seeds"] == 1
    assert entry(tidy, GAUSS, "sinkhorn_forward")["diverged_seeds"] == 0
    assert line(tex, "8 Gaussians").count("diverged (1/2)") == 1


def test_a_method_without_conjugates_has_no_iterations_and_has_not_diverged(tmp_path: Path) -> None:
    cells = records()
    cells[GAUSS]["cell"]["amortization"] = "enot"
    for seed in cells[GAUSS]["seeds"]:
        seed["conjugate_iterations_mean"] = None
    tidy, tex = rendered(cells, tmp_path)
    row = entry(tidy, GAUSS, "conjugate_iterations_mean")
    assert math.isnan(row["mean"])
    assert (row["seeds"], row["diverged_seeds"]) == (2, 0)
    assert line(tex, "8 Gaussians").endswith(r" & -- \\")
    assert "diverged" not in tex
    cells[GAUSS]["seeds"][0] = plane_seed(0, None, "diverged")
    tidy, tex = rendered(cells, tmp_path)
    row = entry(tidy, GAUSS, "conjugate_iterations_mean")
    assert math.isnan(row["mean"])
    assert row["diverged_seeds"] == 1
    assert line(tex, "8 Gaussians").count("diverged (1/2)") == len(synthetic.QUANTITIES) - 1
    cells[GAUSS]["seeds"][1] |= {"w2_forward": None}  # which every method has
    assert math.isinf(entry(rendered(cells, tmp_path)[0], GAUSS, "w2_forward")["mean"])


def test_floor_of_a_diverged_seed_comes_from_another_cell_of_the_pair(tmp_path: Path) -> None:
    cells = records()
    cells[MOON[0]]["seeds"][1] = plane_seed(1, None, "diverged")
    for name in (MOON[1], SMOOTH):
        cells[name]["seeds"][1]["w2_floor_forward"] = 0.03
    tidy, _ = rendered(cells, tmp_path)
    assert entry(tidy, MOON[0], "w2_forward")["floor"] == pytest.approx((0.01 + 0.03) / 2)
    for name in (*MOON, SMOOTH):
        cells[name]["seeds"] = [plane_seed(i, None, "diverged") for i in (0, 1)]
    tidy, tex = rendered(cells, tmp_path)
    assert math.isnan(entry(tidy, SMOOTH, "w2_forward")["floor"])
    assert r"{\scriptsize floor} & -- & -- & -- & -- &" in tex


def test_methods_are_named_once_or_in_columns(tmp_path: Path) -> None:
    _, tex = rendered(records(), tmp_path)
    assert "All cells: Regression + L-{}BFGS." in tex
    assert "Amortization" not in tex
    cells = records()
    cells[GAUSS]["cell"] |= {"amortization": "objective", "solver": "none"}
    _, tex = rendered(cells, tmp_path)
    assert "All cells" not in tex
    assert "Pair & Potential & Amortization & Solver &" in tex
    row = line(tex, "8 Gaussians")
    assert "& Objective & None &" in row
    assert row.endswith(r"& -- \\")  # without a solver there are no iterations


@pytest.mark.parametrize(
    ("mean", "std", "shown"),
    [
        (12.345, 0.678, r"12.3 {\scriptsize$\pm$0.7}"),
        (123.4, 5.6, r"123 {\scriptsize$\pm$6}"),
        (0.0012345, 0.00004, r"0.00123 {\scriptsize$\pm$0.00004}"),
        (0.00012345, 0.000004, r"(1.23 {\scriptsize$\pm$0.04})$\cdot10^{-4}$"),
        (9.999, None, "10.0"),
        (0.0009999, None, "0.00100"),
        (1.5e5, None, r"1.50$\cdot10^{5}$"),
        (3e-7, 1e-7, "$<10^{-6}$"),
        (-3e-7, 1e-7, "$<10^{-6}$"),
        (0.0, 0.0, "0"),
    ],
)
def test_significant_digits(mean: float, std: float | None, shown: str) -> None:
    assert synthetic.number(mean, std) == shown


def test_one_seed_has_no_deviation(tmp_path: Path) -> None:
    cells = {name: plane_record(*name.split("-")[:2], seeds=(3,)) for name in CELLS}
    budget = settings()["budget"] | {"seeds": [3]}
    _, tex = rendered(cells, tmp_path, budget=budget)
    assert r"\pm" not in tex
    assert "Entries: of 1 seed, lower is better" in tex


def test_notes_say_samples_and_a_reduced_budget(tmp_path: Path) -> None:
    _, tex = rendered(records(), tmp_path)
    assert "2,048 fresh samples of each measure" in tex
    assert "regularised by 0.05 of" in tex
    assert r"mean $\pm$ standard deviation (ddof 0) over 2 seeds" in tex
    assert "Reduced" not in tex
    reduced = {"name": "smoke", "label": "smoke & mirrors", "reduced": True}
    tidy, tex = rendered(records(), tmp_path, preset=reduced)
    assert r"smoke (smoke \& mirrors), 50,001 iterations at batch size 10,000, 2 seeds" in tex
    assert set(tidy["reduced"]) == {True}


def test_a_row_with_a_budget_of_its_own_says_it(tmp_path: Path) -> None:
    """Beside rows of the grid's, and where all cells are of it."""
    grid = "{{pairs: [gauss8], potentials: [mlp_leaky], hidden: [8], methods: [{}]}}"
    both = "{amortization: objective, solver: lbfgs}, {method: enot}"
    method = "methods: {enot: {training: {iterations: 300, batch_size: 64}}}"
    figures = "figures: {transport: null, potential: null, flow: null, density: null, "
    figures += "landscape: null, interpolation: null, overview: null}"
    common = "seeds: [0, 1], training: {iterations: 400, batch_size: 128}"
    name = "preset: {name: smoke, label: mine, reduced: true}"
    shown = []
    for rows in (both, "{method: enot}"):
        section = f"{{grids: [{grid.format(rows)}], {common}, {figures}}}"
        config = load(f"{{{method}, {name}, synthetic: {section}}}")
        chosen = synthetic.SyntheticSettings.from_json(arguments.synthetic_table(config))
        cells = {}
        for cell in cells_in("synthetic", config):
            cells[cell.name] = plane_record(cell.pair, cell.potential)
            cells[cell.name]["cell"] |= {"name": cell.name, "amortization": cell.amortization}
            cells[cell.name]["cell"] |= {"solver": cell.solver}
        tidy = synthetic.synthetic_tidy(frame(cells, tmp_path), list(cells), chosen)
        assert set(tidy["iterations"]) == {
            c.training.iterations for c in cells_in("synthetic", config)
        }
        assert tidy[tidy["amortization"] == "enot"]["iterations"].unique().tolist() == [300]
        shown.append(synthetic.synthetic_tex(tidy, chosen))
    own = r"{\scriptsize 300 steps, batches of 64}"
    assert f"& ENOT {own} & None &" in shown[0]
    assert "300 to 400 iterations at batch size 64 to 128" in shown[0]
    assert f"All cells: {escape(method_words('enot', 'none'))} {own}." in shown[1]
    assert "300 iterations at batch size 64, 2 seeds" in shown[1]


def test_missing_cell_seed_and_other_preset_are_refused(tmp_path: Path) -> None:
    chosen = synthetic.SyntheticSettings.from_json(settings())
    whole = frame(records(), tmp_path)
    with pytest.raises(InputError, match=f"the metrics have no cell {GAUSS}"):
        synthetic.synthetic_tidy(whole[whole["cell"] != GAUSS], CELLS, chosen)
    with pytest.raises(InputError, match=rf"cell {MOON[0]} has seeds \[0\], expected \[0, 1\]"):
        synthetic.synthetic_tidy(whole[whole["seed"] == 0], CELLS, chosen)
    with pytest.raises(InputError, match="comes from preset laptop, expected smoke"):
        synthetic.synthetic_tidy(whole.assign(preset="laptop"), CELLS, chosen)


def run(folder: Path, name: str, cells: Any = CELLS) -> tuple[bytes, bytes]:
    parser = argparse.ArgumentParser()
    synthetic_table_job.add_arguments(parser)
    tex, tidy = folder / f"{name}.tex", folder / f"{name}.csv"
    command = ["--metrics", str(folder / "synthetic.csv"), "--settings", json.dumps(settings())]
    command += ["--cells", json.dumps(cells), "--tex", str(tex), "--csv", str(tidy)]
    synthetic_table_job.main(parser.parse_args(command))
    return tex.read_bytes(), tidy.read_bytes()


def test_rendering_again_gives_the_same_bytes(tmp_path: Path) -> None:
    frame(records(), tmp_path)
    first = run(tmp_path, "a")
    assert first == run(tmp_path, "b")
    assert first[1].count(b"\n") == 1 + 4 * len(synthetic.QUANTITIES)


def test_refused_table_leaves_nothing_behind(tmp_path: Path) -> None:
    frame(records(), tmp_path)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InputError, match="no cell gone"):
        run(tmp_path, "a", ["gone"])
    for cells in ([], [GAUSS, GAUSS], {"name": GAUSS}, [1]):
        with pytest.raises(InputError, match="--cells: expected a list of different names"):
            run(tmp_path, "a", cells)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("key", ["epsilon", "preset", "budget"])
def test_settings_name_the_key_that_is_missing(key: str) -> None:
    incomplete = settings()
    del incomplete[key]
    with pytest.raises(InputError, match=f"`{key}`"):
        synthetic.SyntheticSettings.from_json(incomplete)


@pytest.mark.tex
def test_the_table_compiles_by_input(tmp_path: Path) -> None:
    cells = records()
    cells[GAUSS]["seeds"][1] = plane_seed(1, None, "diverged")
    cells[SMOOTH]["seeds"][1]["w2_forward"] = 1e-4
    _, tex = rendered(cells, tmp_path)
    document = (
        "\\documentclass{article}\\usepackage{booktabs,graphicx}\\hfuzz=1pt\n"
        "\\begin{document}\\input{table.tex}\\end{document}\n"
    )
    build_pdf(document, {"table.tex": tex}, tmp_path / "t.pdf", 0)
    assert (tmp_path / "t.pdf").read_bytes().startswith(b"%PDF")
