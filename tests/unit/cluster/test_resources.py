from pathlib import Path

import pytest
from tests.unit.settings import PAPER

from w2dual.cluster.costs import Cost, update, write_costs
from w2dual.cluster.resources import START_MIN, Requests
from w2dual.config.grid import cells_in

CELL = next(cell for cell in cells_in("hd", PAPER) if cell.dimension == 64)


def cost(**changes: object) -> Cost:
    """200 ms a step, and 60 ms a step of pre-training, for the cell."""
    values = {
        "device": "A GPU",
        "kind": "gpu",
        "threads": 0,
        "potential": CELL.potential,
        "amortization": CELL.amortization,
        "solver": CELL.solver,
        "hidden": "paper",
        "dimension": 64,
        "batch_size": 1024,
        "seeds": 10,
        "ms_per_step": 200.0,
        "ms_per_step_low": 190.0,
        "ms_per_step_high": 210.0,
        "compile_s": 60.0,
        "pretraining_s": 60.0,
        "pretraining_steps": 1000,
        "iterations_mean": 5.0,
        "steps_measured": 100,
        "warm_up_steps": 10,
        "measured_on": "2026-01-01",
        "commit": "",
        "source": "a test",
    }
    return Cost(**(values | changes))  # pyright: ignore[reportArgumentType]


def test_without_measurements_minutes_go_by_dimension():
    requests = Requests(PAPER, ())
    table = PAPER["resources"]["runtime_min"]
    assert requests.cell_min(CELL) == table[64]
    assert requests.dimension_min(63) == table[2]
    assert requests.dimension_min(1) == table[2]
    assert requests.dimension_min(500) == table[256]


def test_measured_times_go_before_with_headroom_and_the_start():
    config = PAPER | {"resources": PAPER["resources"] | {"headroom": 2.0}}
    seconds = 60.0 + 10001 * 0.060 + 250001 * 0.200
    minutes = Requests(config, [cost()]).cell_min(CELL)
    assert minutes == START_MIN + -(-2.0 * seconds // 60)


def test_a_cell_that_was_not_measured_keeps_its_table():
    other = next(cell for cell in cells_in("hd", PAPER) if cell.solver != CELL.solver)
    requests = Requests(PAPER, [cost()])
    assert requests.cell_min(other) == requests.dimension_min(other.dimension)


def test_only_the_sites_device_is_read(tmp_path: Path):
    path = tmp_path / "costs.csv"
    write_costs(path, update([cost()], [cost(device="Another GPU", compile_s=1.0)]))
    assert Requests.of(PAPER | {"site_device": "A GPU"}, path).costs == [cost()]
    assert Requests.of(PAPER, tmp_path / "missing.csv").costs == ()


@pytest.mark.parametrize(("attempt", "expected"), [(1, 240), (2, 480), (3, 600), (9, 600)])
def test_run_time_grows_with_the_attempt_up_to_the_sites_limit(attempt: int, expected: int):
    requests = Requests(PAPER | {"site_runtime_min": 600}, ())
    assert requests.runtime_min(240, attempt) == expected


def test_memory_grows_for_three_attempts_alone():
    """A cell continued over many jobs has not run out of memory in each."""
    requests = Requests(PAPER, ())
    assert [requests.memory_mb(1000, n) for n in (1, 2, 3, 4, 20)] == [1000, 2000, 3000, 3000, 3000]
    bounded = Requests(PAPER | {"site_memory_mb": 2500}, ())
    assert [bounded.memory_mb(1000, n) for n in (1, 2, 3)] == [1000, 2000, 2500]


def test_jobs_of_a_cell_beyond_the_limit():
    """480 min, 10 of them to start: 470 min of training in jobs of 60 - 10."""
    assert Requests(PAPER | {"site_runtime_min": 60}, ()).jobs_of(CELL) == 10
    assert Requests(PAPER | {"site_runtime_min": 480}, ()).jobs_of(CELL) == 1
    assert Requests(PAPER, ()).jobs_of(CELL) == 1
