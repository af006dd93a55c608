import dataclasses

import pytest
from tests.unit.settings import PAPER

from w2dual.__main__ import main
from w2dual.cluster.simulate import Site, simulate
from w2dual.config.grid import grid

SITE = Site(gpus=1, jobs=100, limit_s=None, start_s=10.0, submit_s=0.0)


def test_one_gpu_takes_all_jobs_one_after_another():
    run = simulate([100.0, 200.0, 300.0], SITE)
    assert run.submissions == 3
    assert run.longest_queue == 2
    # 630 s of work and starts, and the time until Snakemake looks.
    assert 630.0 <= run.makespan_s <= 630.0 + 180.0
    assert run.busy == pytest.approx(630.0 / run.makespan_s)
    assert run.worked == pytest.approx(600.0 / run.makespan_s)


def test_as_many_gpus_as_jobs_take_as_long_as_the_longest():
    run = simulate([100.0, 200.0, 300.0], dataclasses.replace(SITE, gpus=3))
    assert 310.0 <= run.makespan_s <= 310.0 + 180.0
    assert run.longest_queue == 0


def test_a_job_beyond_the_limit_is_continued():
    """250 s of work in jobs of 110 s, of which 10 s are their start: three of them."""
    run = simulate([250.0], dataclasses.replace(SITE, limit_s=110.0))
    assert run.submissions == 3
    assert run.busy * run.makespan_s == pytest.approx(250.0 + 3 * 10.0)


def test_the_queue_is_no_longer_than_jobs_allows():
    run = simulate([50.0] * 40, dataclasses.replace(SITE, jobs=5))
    assert run.submissions == 40
    assert run.longest_queue == 4


def test_a_limit_that_leaves_no_time_to_train_is_refused():
    with pytest.raises(ValueError, match="than a job takes to start"):
        simulate([1.0], dataclasses.replace(SITE, limit_s=10.0))


def test_the_job_names_how_many_cells_are_assumed(capsys):
    assert main(["simulate", "--cell-min", "60", "--gpus", "8", "--times", "2"]) == 0
    said = capsys.readouterr().out
    count = len(grid(PAPER))
    jobs = f"{2 * count} cells, {2 * count}.0 GPU hours, assumed; {count} of {count} taken"
    assert f"{jobs} to need 60 min" in said


def test_the_job_fills_nothing_in_by_itself(capsys):
    assert main(["simulate", "--device", "no such"]) == 2
    count = len(grid(PAPER))
    said = capsys.readouterr().err
    assert f"the cost of {count} of {count} cells is unknown on no such" in said
