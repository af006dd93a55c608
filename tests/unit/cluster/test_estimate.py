"""What a config costs: measurements in files, lines through them by hand, and what is printed."""

import copy
import dataclasses
import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.slow.kill import environment

from w2dual import provenance
from w2dual.__main__ import main
from w2dual.cluster.costs import (
    COLUMNS,
    Cost,
    from_runs,
    method_of,
    read_costs,
    update,
    write_costs,
)
from w2dual.cluster.estimate import Basis, estimate, makespan, runtime_min
from w2dual.config.cells import Cell
from w2dual.config.grid import cells_in, grid
from w2dual.config.reader import load
from w2dual.records import InputError, write_json

ROOT = Path(__file__).parents[3]
CONFIG = str(ROOT / "config.yaml")
SMOKE = str(ROOT / "presets" / "smoke.yaml")
PAPER = load([CONFIG])
METHOD = ("regression", "lbfgs")
GPU = "NVIDIA Test"


def cost(n: int = 2, seeds: int = 10, ms: float = 2.0, **changes: Any) -> Cost:
    values: dict[str, Any] = {
        "device": GPU,
        "kind": "gpu",
        "threads": 0,
        "potential": "mlp",
        "amortization": METHOD[0],
        "solver": METHOD[1],
        "hidden": "paper",
        "dimension": n,
        "batch_size": 1024,
        "seeds": seeds,
        "ms_per_step": ms,
        "ms_per_step_low": 0.5 * ms,
        "ms_per_step_high": 1.5 * ms,
        "compile_s": 5.0,
        "pretraining_s": 1.0,
        "pretraining_steps": 50,
        "iterations_mean": 3.5,
        "steps_measured": 500,
        "warm_up_steps": 200,
        "measured_on": "2026-01-02",
        "commit": "c" * 40,
        "source": "first steps, on a pair",
    }
    return Cost(**(values | changes))


def cell(n: int = 2, seeds: int = 10, batch: int = 1024, method: tuple[str, str] = METHOD) -> Cell:
    """The paper's cell at 1000 iterations, and 100 of pre-training."""
    config = copy.deepcopy(PAPER)
    config["hd"] |= {"dimensions": [n], "seeds": list(range(seeds)), "potentials": ["mlp"]}
    config["hd"]["training"] |= {"batch_size": batch, "iterations": 1000}
    config["hd"]["pretraining"]["iterations"] = 100
    return next(c for c in cells_in("hd", config) if (c.amortization, c.solver) == method)


def figures(*arguments: Any) -> Any:
    found = estimate(*arguments).found
    assert found is not None
    return found.figures


# ---------------------------------------------------------------- one cell


def test_measured_cell_is_the_sum_of_its_parts():
    item = estimate(cell(), [cost()])
    assert item.basis is Basis.MEASURED
    assert item.training_s() == pytest.approx(2.0)  # 1000 steps of 2 ms
    assert item.pretraining_s() == pytest.approx(2.0)  # 100 steps of 1 s / 50
    assert item.seconds() == pytest.approx(9.0)  # and 5 s of compiling
    assert item.seconds("ms_per_step_low") == pytest.approx(8.0)
    assert item.seconds("ms_per_step_high") == pytest.approx(10.0)


def test_between_dimensions_the_line_is_straight_in_logarithms():
    rows = [
        cost(2, ms=1.0, compile_s=4.0, pretraining_s=1.0),
        cost(32, ms=16.0, compile_s=9.0, pretraining_s=4.0),
        cost(256, ms=1e6),
    ]
    item = estimate(cell(8), rows)  # halfway from log 2 to log 32: geometric means
    assert item.basis is Basis.INTERPOLATED
    assert item.based_on == "between n = 2 and 32"
    assert figures(cell(8), rows).ms_per_step == pytest.approx(4.0)
    assert figures(cell(8), rows).compile_s == pytest.approx(6.0)
    assert figures(cell(8), rows).pretraining_ms_per_step == pytest.approx(40.0)


@pytest.mark.parametrize(
    ("n", "expected", "slope_of"),
    [
        (128, 256.0, "n = 16 to 32"),  # n^2 at the end
        (2, 0.5, "n = 8 to 16"),  # n at the start
    ],
)
def test_beyond_the_dimensions_the_slope_of_the_last_two_goes_on(
    n: int, expected: float, slope_of: str
):
    rows = [cost(8, ms=2.0), cost(16, ms=4.0), cost(32, ms=16.0)]
    item = estimate(cell(n), rows)
    assert item.basis is Basis.EXTRAPOLATED
    assert slope_of in item.based_on
    assert figures(cell(n), rows).ms_per_step == pytest.approx(expected)


@pytest.mark.parametrize(
    ("seeds", "expected", "basis"),
    [
        (1, 3.0, Basis.MEASURED),
        (5, 11.0, Basis.SCALED),  # 1 + 2 a seed
        (11, 23.0, Basis.MEASURED),
        (16, 73.0, Basis.SCALED),  # 23 + 10 for each seed above 11
        (31, 223.0, Basis.EXTRAPOLATED),
    ],
)
def test_seeds_are_affine_between_the_nearest_two(seeds: int, expected: float, basis: Basis):
    rows = [cost(seeds=1, ms=3.0), cost(seeds=11, ms=23.0), cost(seeds=21, ms=123.0)]
    item = estimate(cell(seeds=seeds), rows)
    assert item.basis is basis
    assert figures(cell(seeds=seeds), rows).ms_per_step == pytest.approx(expected)


def test_line_through_seeds_that_leads_below_nothing():
    """A step cannot take less than nothing; what is paid once stays at the least measured."""
    rows = [cost(seeds=10, ms=1.0), cost(seeds=20, ms=10.0)]
    assert estimate(cell(seeds=1), rows).basis is Basis.UNKNOWN
    rows = [cost(seeds=1, ms=1.0, compile_s=8.0), cost(seeds=2, ms=2.0, compile_s=6.0)]
    assert figures(cell(seeds=10), rows).ms_per_step == pytest.approx(10.0)
    assert figures(cell(seeds=10), rows).compile_s == pytest.approx(6.0)


def test_batch_size_scales_what_each_step_costs():
    item = estimate(cell(batch=256), [cost()])
    assert item.basis is Basis.SCALED
    assert item.based_on == "batch 256 in proportion to 1024"
    assert item.training_s() == pytest.approx(0.5)
    assert item.seconds() == pytest.approx(0.5 + 0.5 + 5.0)


def test_batch_size_that_was_measured_comes_before_one_that_was_not():
    rows = [cost(batch_size=512, ms=100.0), cost(batch_size=256, ms=1.0)]
    assert figures(cell(batch=256), rows).ms_per_step == pytest.approx(1.0)
    assert figures(cell(batch=1024), rows).ms_per_step == pytest.approx(200.0)
    # ... but a batch size with one dimension alone makes no line.
    rows = [cost(2, batch_size=256), cost(2, ms=1.0), cost(8, ms=4.0)]
    assert figures(cell(4, batch=256), rows).ms_per_step == pytest.approx(0.5)


def test_all_lines_together_have_the_weakest_basis():
    rows = [
        cost(n, seeds, ms=(seeds + 1) * n) for n, seeds in itertools.product((2, 8), (1, 3))
    ]  # at 2 seeds: 3 n
    item = estimate(cell(16, seeds=2, batch=512), rows)
    assert item.basis is Basis.EXTRAPOLATED
    assert item.based_on == (
        "2 seed(s) on the line of 1 and 3; slope of n = 2 to 8; batch 512 in proportion to 1024"
    )
    assert item.found is not None
    assert set(item.found.rows) == set(rows)
    assert item.found.figures.ms_per_step == pytest.approx(24.0)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([], "mlp, regression \\+ lbfgs: not measured"),
        ([cost(potential="icnn")], "not measured"),
        ([cost(solver="adam")], "not measured"),
        ([cost(amortization="cycle")], "not measured"),
        ([cost(hidden="8-8")], "not measured"),
        ([cost(4)], "10 seed\\(s\\) at n = 4, from which no line leads"),
        ([cost(2, seeds=3)], "3 seed\\(s\\) at n = 2, from which no line leads"),
    ],
)
def test_what_does_not_follow_is_unknown(rows: list[Cost], reason: str):
    item = estimate(cell(), rows)
    assert item.basis is Basis.UNKNOWN
    assert item.found is None
    with pytest.raises(ValueError, match=reason):
        item.seconds()


def test_a_method_of_another_kind_goes_by_its_name_alone():
    own = next(c for c in cells_in("baselines", PAPER) if c.amortization == "qc")
    assert estimate(own, []).reason == "dense_free, qc: not measured"


def test_widths_of_its_own_need_a_measurement_of_their_own():
    other = cell()
    other.settings["potential"]["hidden"] = [8, 8]
    assert estimate(other, [cost()]).basis is Basis.UNKNOWN
    assert estimate(other, [cost(hidden="8-8")]).basis is Basis.MEASURED


def test_widths_that_a_potential_does_not_name_are_its_own():
    other = cell()
    other.settings["potential"] = {"kind": "mine", "depth": 3}
    assert estimate(other, [cost()]).basis is Basis.UNKNOWN
    assert estimate(other, [cost(hidden="own")]).basis is Basis.MEASURED


def test_another_method_stands_in_only_where_it_is_named():
    other = cell(method=("cycle", "adam"))
    assert estimate(other, [cost()]).basis is Basis.UNKNOWN
    item = estimate(other, [cost()], METHOD)
    assert item.basis is Basis.ASSUMED
    assert item.seconds() == pytest.approx(9.0)
    assert "as regression + lbfgs (mlp, cycle + adam: not measured)" in item.based_on
    own = estimate(other, [cost(), cost(amortization="cycle", solver="adam", ms=4.0)], METHOD)
    assert own.basis is Basis.MEASURED
    assert own.training_s() == pytest.approx(4.0)
    assert estimate(other, [cost(potential="icnn")], METHOD).basis is Basis.UNKNOWN


# ---------------------------------------------------------------- all cells


def best_makespan(seconds: list[int], devices: int) -> int:
    """The least over all assignments."""
    return min(
        max(sum(s for s, d in zip(seconds, to, strict=True) if d == device) for device in to)
        for to in itertools.product(range(devices), repeat=len(seconds))
    )


def test_makespan_of_the_textbooks_worst_case():
    """Graham 1969: longest first takes 11 on three machines, where 9 is possible."""
    jobs = [5, 3, 4, 3, 5, 4, 3]
    assert makespan(jobs, 3) == 11
    assert best_makespan(jobs, 3) == 9


@pytest.mark.parametrize("devices", [1, 2, 3])
@pytest.mark.parametrize("jobs", [[7], [3, 3, 2, 2, 2], [9, 1, 1, 1, 6, 5], [4, 4, 4, 4]])
def test_makespan_against_all_assignments(jobs: list[int], devices: int):
    best, found = best_makespan(jobs, devices), makespan(jobs, devices)
    assert best <= found
    assert 3 * devices * found <= (4 * devices - 1) * best  # Graham's bound, 4/3 - 1/(3 m)
    if devices == 1:
        assert found == sum(jobs)
    assert makespan(jobs, len(jobs)) == max(jobs)


def test_makespan_of_nothing():
    assert makespan([], 4) == 0


def test_time_limits_are_the_longest_cell_with_headroom():
    rows = [cost(2, ms=600.0), cost(4, ms=10.0), cost(2, ms=1200.0, amortization="cycle")]
    slower, unknown = ("cycle", "lbfgs"), ("cycle", "none")
    cells = [cell(2), cell(2, method=slower), cell(4), cell(4, method=unknown)]
    items = [estimate(item, rows) for item in cells]
    # 1207 s * 1.5 = 30.2 min; 17 s * 1.5 = 0.4 min
    assert runtime_min(items, 1.5) == {2: 35, 4: 5}
    assert runtime_min(items[3:], 1.5) == {}


# ---------------------------------------------------------------- files


def test_costs_go_there_and_back(tmp_path: Path):
    path = tmp_path / "costs.csv"
    write_costs(path, [cost(16), cost(2, commit="", iterations_mean=0.0)])
    assert read_costs(path) == [cost(2, commit="", iterations_mean=0.0), cost(16)]
    assert path.read_text().splitlines()[0] == ",".join(COLUMNS)


def test_the_committed_costs_can_be_read():
    read_costs(ROOT / "reference" / "costs.csv")


def test_update_replaces_what_measures_the_same():
    assert update([cost(2), cost(4)], [cost(2, ms=9.0)]) == [cost(2, ms=9.0), cost(4)]
    assert len(update([cost()], [cost(threads=2), cost(batch_size=1), cost(seeds=1)])) == 4


LINE: str = "A,gpu,0,mlp,cycle,none,paper,2,1024,10,2,1,3,5,1,50,0,500,200,2026-01-02,,here"


def field(name: str, value: str) -> str:
    values = LINE.split(",")
    values[COLUMNS.index(name)] = value
    return ",".join(values)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([",".join(c for c in COLUMNS if c != "seeds")], "lacks the column.s. seeds"),
        ([",".join([*COLUMNS, "colour"])], "unknown column.s. colour"),
        ([], "lacks the column.s. device, kind"),
        ([..., field("ms_per_step", "fast")], "line 2: ms_per_step is 'fast', where a number"),
        ([..., field("ms_per_step", "nan")], "ms_per_step is 'nan', where a number above 0"),
        ([..., field("seeds", "1.5")], "seeds is '1.5', where a whole number above 0"),
        ([..., field("pretraining_steps", "0")], "pretraining_steps is '0'"),
        ([..., field("threads", "-1")], "threads is '-1', where a whole number from 0"),
        ([..., field("kind", "tpu")], "kind is 'tpu', where cpu or gpu"),
        ([..., field("source", "")], "source is empty"),
        ([..., field("ms_per_step_low", "2.5")], "2 is not between ms_per_step_low 2.5"),
        ([..., LINE, field("dimension", "4"), LINE], "line 4: measures the same as line 2"),
        ([..., LINE + ",more"], "line 2: expected 22 fields, found 23"),
        ([..., LINE.rpartition(",")[0]], "line 2: expected 22 fields, found 21"),
    ],
)
def test_costs_that_do_not_fit_are_refused(tmp_path: Path, lines: list[Any], message: str):
    path = tmp_path / "costs.csv"
    path.write_text("".join(f"{','.join(COLUMNS) if x is ... else x}\n" for x in lines))
    with pytest.raises(InputError, match=message) as caught:
        read_costs(path)
    assert str(path) in str(caught.value)


def test_costs_that_are_not_there(tmp_path: Path):
    with pytest.raises(InputError, match="none.csv"):
        read_costs(tmp_path / "none.csv")


def run_record(of: Cell, device: str = GPU) -> dict[str, Any]:
    return {
        "cell": of.to_json(),
        "seeds": [{"seed": i, "steps": 1000, "conjugate_iterations_mean": 2.0} for i in range(2)],
        "timing": {
            "seconds_per_step": 0.004,
            "compile_s": 3.0,
            "pretraining_s": 2.0,
            "pretraining_steps": 80,
        },
        "provenance": {"device": device, "git_commit": "d" * 40, "ended": "2026-02-03T04:05:06Z"},
    }


def write_run(folder: Path, record: dict[str, Any]) -> Path:
    path = folder / "results" / "train" / record["cell"]["name"] / "metrics.json"
    write_json(path, record)
    return path


def test_finished_runs_are_measurements(tmp_path: Path):
    paths = [write_run(tmp_path, run_record(cell(n, seeds=2))) for n in (2, 4)]
    found = {row.dimension: row for row in from_runs(tmp_path, threads=3)}
    assert sorted(found) == [2, 4]
    expected = cost(4, 2, 4.0, ms_per_step_low=4.0, ms_per_step_high=4.0)
    assert found[4] == dataclasses.replace(
        expected,
        compile_s=3.0,
        pretraining_s=2.0,
        pretraining_steps=80,
        iterations_mean=2.0,
        steps_measured=1000,
        warm_up_steps=0,
        measured_on="2026-02-03",
        commit="d" * 40,
        source=str(paths[1]),
    )
    write_run(tmp_path, run_record(cell(2, seeds=2), "CPU: one"))
    assert {(row.kind, row.threads) for row in from_runs(tmp_path, 3)} == {("cpu", 3), ("gpu", 0)}


@pytest.mark.parametrize("key", ["timing", "provenance", "cell", "seeds"])
def test_a_run_without_times_is_refused(tmp_path: Path, key: str):
    record = run_record(cell())
    path = write_run(tmp_path, record)
    write_json(path, {k: v for k, v in record.items() if k != key})
    with pytest.raises(InputError, match="metrics.json: is not the record .*" + key):
        from_runs(tmp_path, 1)


def test_a_run_whose_times_are_no_times_is_refused(tmp_path: Path):
    record = run_record(cell())
    record["timing"]["compile_s"] = 0.0
    write_run(tmp_path, record)
    with pytest.raises(InputError, match="not above 0"):
        from_runs(tmp_path, 1)


def test_a_run_without_pretraining_pays_nothing_for_it(tmp_path: Path):
    """Such a cell records the seconds in which its networks were made, and no steps."""
    for n in (2, 8):
        record = run_record(cell(n, seeds=2))
        record["timing"]["pretraining_steps"] = 0
        write_run(tmp_path, record)
    rows = from_runs(tmp_path, 1)
    for n, basis in ((2, Basis.MEASURED), (4, Basis.INTERPOLATED), (32, Basis.EXTRAPOLATED)):
        item = estimate(cell(n, seeds=2), rows)
        assert item.basis is basis
        assert item.pretraining_s() == 0
        assert item.seconds() == pytest.approx(3.0 + 4.0)  # compiling, and 1000 steps of 4 ms
    assert estimate(cell(2, seeds=2, batch=256), rows).seconds() == pytest.approx(3.0 + 1.0)


def test_one_dimension_without_pretraining_has_no_logarithm():
    """The figure of the other one is taken, which is not too little."""
    rows = [cost(2, pretraining_steps=0), cost(32)]
    assert figures(cell(8), rows).pretraining_ms_per_step == pytest.approx(20.0)


@pytest.mark.parametrize(("key", "value"), [("pretraining_steps", -1), ("pretraining_s", 0.0)])
def test_a_run_whose_pretraining_took_no_time_is_refused(tmp_path: Path, key: str, value: float):
    record = run_record(cell())
    record["timing"][key] = value
    write_run(tmp_path, record)
    with pytest.raises(InputError, match="not above 0"):
        from_runs(tmp_path, 1)


def test_a_folder_without_runs_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="holds no results/train"):
        from_runs(tmp_path, 1)


# ---------------------------------------------------------------- the command


@pytest.fixture
def costs(tmp_path: Path) -> str:
    """Smoke's methods but one, as measured on the CPU with its batches and seeds."""
    own = {"device": "CPU: Test", "kind": "cpu", "threads": 1, "seeds": 2}
    rows = [
        cost(
            2,
            ms=3600.0,
            potential=potential,
            amortization=method["amortization"],
            solver=method["solver"],
            batch_size=128,
            **own,
        )
        for potential in PAPER["hd"]["potentials"]
        for method in load([CONFIG, SMOKE])["hd"]["methods"][:-1]
    ]
    rows += [
        cost(
            2,
            ms=3600.0,
            potential=potential,
            amortization="regression",
            solver="lbfgs_high_precision",
            hidden="64-64",
            batch_size=128,
            **own,
        )
        for potential in sorted(
            {cell.potential for cell in cells_in("synthetic", load([CONFIG, SMOKE]))}
        )
    ]
    rows += [
        cost(
            cell.dimension,
            ms=3600.0,
            potential=cell.potential,
            amortization=cell.amortization,
            solver=cell.solver,
            hidden="16-16-32-1",
            batch_size=32,
            **(own | {"seeds": 1}),
        )
        for cell in cells_in("celeba64", load([CONFIG, SMOKE]))
    ]
    write_costs(tmp_path / "costs.csv", rows)
    return str(tmp_path / "costs.csv")


def test_networks_of_other_widths_are_not_taken_for_one_another():
    config = load([CONFIG])
    config["methods"]["mm_images"]["amortization_model"]["base"] = 4
    found = {
        cell.potential: method_of(cell)["hidden"]
        for cell in cells_in("celeba64_baselines", config)[:6]
    }
    assert found == {"conv_icnn": "128-256-512-1024", "resnet": "64-512-4"}


def smoke(costs: str, *more: str) -> int:
    """Without the cells whose cost no test here is about."""
    none = Path(costs).with_name("none.yaml")
    without = "baselines: {methods: []}\nmeta_sinkhorn: {tasks: []}\nmeta_color: {methods: []}\n"
    without += "lagrangian: {methods: []}\nmetric_recovery: {sets: []}\n"
    none.write_text(without, encoding="utf-8")
    argv = ["estimate", "--config", CONFIG, "--configfile", SMOKE, str(none), "--costs", costs]
    return main([*argv, *more])


CPU = ("--device", "CPU: Test")


def test_the_table_says_what_it_does_not_know(costs: str, capsys: pytest.CaptureFixture[str]):
    assert smoke(costs, *CPU, "--gpus", "4", "--per-cell") == 0
    out = capsys.readouterr().out
    # 4 known cells of 1000 steps at 3.6 s, 600 of pre-training at 20 ms, 5 s: 3617 s each; and
    # 5 on the plane of 300 steps at 3.6 s, 800 of pre-training at 20 ms, 5 s: 1101 s each; and
    # 1 on images of 100 steps at 3.6 s, 300 of pre-training at 20 ms, 5 s: 371 s
    assert "total: at least 5.65 CPU hours of 1 thread(s)" in out
    assert "basis: 10 measured, 2 unknown" in out
    assert "UNKNOWN, and not in the total: 2 of 12 cells" in out
    assert "of all others finished cells tell: --from FOLDER" in out
    # one of the longer cells on each device, then 1 or 2 of the shorter: 5819 s at most
    assert "wall clock: at least 1.62 hours on 4 device(s)" in out
    assert "{2: 95, 768: 10}" in out  # 60.3 min * 1.5, 6.2 min * 1.5
    assert "[1] first steps, on a pair (2026-01-02, commit cccccccccc)" in out
    lines = [line.split() for line in out.splitlines() if line.startswith("hd2-")]
    assert len(lines) == 6
    bases = {line[0]: line[6] for line in lines}
    assert bases["hd2-mlp-objective-none"] == "measured"
    assert bases["hd2-mlp-cycle-adam"] == "unknown"


def test_the_record_adds_up(costs: str, capsys: pytest.CaptureFixture[str]):
    assert smoke(costs, *CPU, "--json", "--assume-method", "objective,none") == 0
    record = json.loads(capsys.readouterr().out)
    assert record["total"]["unknown"] == 0
    assert record["total"]["basis"] == {"measured": 10, "assumed": 2}
    hours = [item["hours"] for item in record["cells"]]
    assert hours == pytest.approx([3617 / 3600] * 6 + [1101 / 3600] * 5 + [371 / 3600])
    assert record["total"]["hours"] == pytest.approx(sum(hours))
    assert record["by_dimension"]["2"]["hours"] == pytest.approx(sum(hours[:-1]))
    assert record["by_dimension"]["768"]["hours"] == pytest.approx(hours[-1])
    assert record["wall_clock_hours"] is None
    assert all(item["basis"] and item["based_on"] and item["sources"] for item in record["cells"])


def test_strict_takes_nothing_unknown(costs: str, capsys: pytest.CaptureFixture[str]):
    assert smoke(costs, *CPU, "--strict") == 2
    assert "--strict: the cost of 2 of 12 cells is unknown" in capsys.readouterr().err
    assert smoke(costs, *CPU, "--strict", "--assume-method", "objective,none") == 0


def test_runs_go_before_the_file(costs: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    own = next(c for c in grid(load([CONFIG, SMOKE])) if c.name == "hd2-mlp-objective-none")
    path = write_run(tmp_path, run_record(own, "CPU: Test"))
    assert smoke(costs, *CPU, "--json", "--from", str(tmp_path)) == 0
    record = json.loads(capsys.readouterr().out)
    found = next(item for item in record["cells"] if item["name"] == own.name)
    assert found["ms_per_step"] == pytest.approx(4.0)
    assert str(path) in record["sources"][found["sources"][0] - 1]


def test_this_machines_device_is_the_default(costs: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(provenance, "cpu_name", lambda: "CPU: Test")
    monkeypatch.setattr(provenance, "gpu_name", lambda: "NVIDIA Other")
    assert smoke(costs) == 0  # smoke asks for no GPU


def test_a_gpu_comes_before_the_cpu_where_the_config_asks_for_one(
    costs: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(provenance, "cpu_name", lambda: "CPU: Test")
    monkeypatch.setattr(provenance, "gpu_name", lambda: "NVIDIA Other")
    assert main(["estimate", "--config", CONFIG, "--costs", costs]) == 2
    assert "this machine's NVIDIA Other was not measured" in capsys.readouterr().err


def test_name_of_the_gpu_is_the_drivers(tmp_path: Path):
    assert provenance.gpu_name(tmp_path) is None
    folder = tmp_path / "gpus" / "0000:01:00.0"
    folder.mkdir(parents=True)
    (folder / "information").write_text("Model: \t\t NVIDIA H100 80GB HBM3\nIRQ:   \t\t 18\n")
    assert provenance.gpu_name(tmp_path) == "NVIDIA H100 80GB HBM3"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            [],
            "this machine's CPU: Mine was not measured; name a device with --device:\n",
        ),
        (["--device", "CPU: Tes"], "'CPU: Tes' was not measured; did you mean 'CPU: Test'?"),
        ([*CPU, "--threads", "2"], "not measured with 2 thread(s), which is what a job gets; it"),
        ([*CPU, "--assume-method", "cycle"], "method 'cycle': expected a loss and a solver"),
        ([*CPU, "--assume-method", "cycle,sgd"], "no `sgd` under `solvers`; there are none, lbfgs"),
        ([*CPU, "--headroom", "0.5"], "--headroom: 0.5; expected a finite factor from 1"),
        ([*CPU, "--headroom", "inf"], "--headroom: inf; expected a finite factor from 1"),
    ],
)
def test_estimate_refuses(
    costs: str,
    more: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.setattr(provenance, "cpu_name", lambda: "CPU: Mine")
    assert smoke(costs, *more) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""


def test_no_measurements_at_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "costs.csv"
    write_costs(path, [])
    assert smoke(str(path)) == 2
    assert f"{path}: holds no measurements yet; make some with `w2dual" in capsys.readouterr().err


def test_estimate_does_without_jax(costs: str):
    argv = ["estimate", "--costs", costs, *CPU, "--config", CONFIG, "--configfile", SMOKE]
    code = (
        f"import sys; from w2dual.__main__ import main; assert main({argv!r}) == 0; "
        "sys.exit(str([name for name in ('jax', 'flax', 'pandas') if name in sys.modules]))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=False
    )
    assert run.stderr.strip() == "[]"
