"""A cluster on paper: the workflow's jobs on so many GPUs, from the estimate's costs.

What is simulated is what Snakemake and SLURM do with this DAG. Snakemake submits jobs that are
ready, as many as `jobs` allows, one every `submit_s`; SLURM starts them in that order on the first
GPU that is free. A job takes `start_s` on top of its cell's time. One that needs more than the time
limit is stopped there, and submitted again when Snakemake has seen it end: when it looks, after an
interval that grows by 10 s with each look in vain, up to 180 s (the plugin's rule). Light.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from w2dual.cluster.costs import read_costs
from w2dual.cluster.estimate import estimate
from w2dual.cluster.estimate_summary import aligned
from w2dual.config.cells import Cell
from w2dual.records import InputError

FIRST_POLL_S = 30.0
POLL_GROWTH_S = 10.0
LONGEST_POLL_S = 180.0


@dataclass(frozen=True)
class Site:
    """The cluster, and what a job costs besides its work; all times in seconds.

    Attributes:
        gpus: jobs that run at once.
        jobs: jobs that Snakemake has submitted and not seen end, at most.
        limit_s: the time limit of a job; None for none.
        start_s: of starting a job: Snakemake twice, and compiling the programs again.
        submit_s: between two submissions.
    """

    gpus: int
    jobs: int
    limit_s: float | None
    start_s: float
    submit_s: float


@dataclass(frozen=True)
class Run:
    """What a simulated run took.

    Attributes:
        makespan_s: from the first submission until Snakemake has seen the last job end.
        submissions: jobs that were submitted.
        longest_queue: jobs that waited for a GPU at one time, at most.
        busy: fraction of the GPUs' time in which a job held them.
        worked: fraction of their time that went into the cells themselves.
    """

    makespan_s: float
    submissions: int
    longest_queue: int
    busy: float
    worked: float


def simulate(work_s: Sequence[float], site: Site) -> Run:
    """Run training jobs that need `work_s` each, in the order given.

    Raises:
        ValueError: the time limit leaves a job no time to train.
    """
    if site.limit_s is not None and site.limit_s <= site.start_s:
        raise ValueError(f"a limit of {site.limit_s:g} s is not longer than a job takes to start")
    left = list(work_s)
    ready = deque(range(len(left)))  # not submitted
    waiting: deque[int] = deque()  # submitted, in SLURM's queue
    running: list[tuple[float, int]] = []  # (end, job)
    ended: list[int] = []  # and not yet seen by Snakemake
    now = next_submission = busy_s = 0.0
    interval = FIRST_POLL_S
    next_poll = FIRST_POLL_S
    open_jobs = submissions = longest = 0
    unfinished = len(left)
    while unfinished:
        submits = ready and open_jobs < site.jobs
        times = [next_poll]
        if submits:
            times.append(max(now, next_submission))
        if running:
            times.append(running[0][0])
        now = min(times)
        while running and running[0][0] <= now:
            ended.append(heapq.heappop(running)[1])
        if submits and next_submission <= now:
            waiting.append(ready.popleft())
            open_jobs += 1
            submissions += 1
            next_submission = now + site.submit_s
        if now >= next_poll:
            # What has ended and is not done goes to the front, as Snakemake retries it.
            for job in ended:
                open_jobs -= 1
                if left[job] > 0:
                    ready.appendleft(job)
                else:
                    unfinished -= 1
            longer = min(interval + POLL_GROWTH_S, LONGEST_POLL_S)
            interval = FIRST_POLL_S if ended else longer
            ended.clear()
            next_poll = now + interval
        while waiting and len(running) < site.gpus:
            job = waiting.popleft()
            length = site.start_s + left[job]
            if site.limit_s is not None:
                length = min(length, site.limit_s)
            left[job] = max(0.0, left[job] - (length - site.start_s))
            busy_s += length
            heapq.heappush(running, (now + length, job))
        longest = max(longest, len(waiting))
    return Run(
        makespan_s=now,
        submissions=submissions,
        longest_queue=longest,
        busy=busy_s / (site.gpus * now) if now else 0.0,
        worked=sum(work_s) / (site.gpus * now) if now else 0.0,
    )


@dataclass(frozen=True, kw_only=True)
class Given:
    """What a cluster is taken to be like.

    Attributes:
        device: of the measurements.
        cell_min: minutes that a cell of unknown cost takes; None for: there must be none.
        gpus: numbers of GPUs, a row each.
        times: every cell so many times.
        jobs: the profile's `jobs`.
        limit_min: time limit of a job, in minutes; None for none.
        start_s: seconds that starting a job takes.
        submit_s: seconds between two submissions.
    """

    device: str
    cell_min: int | None
    gpus: Sequence[int]
    times: int
    jobs: int
    limit_min: int | None
    start_s: float
    submit_s: float


def table(cells: Sequence[Cell], costs_path: Path, given: Given) -> str:
    """Return how long cells take, as text: a line for each number of GPUs.

    Args:
        cells: a config's.
        costs_path: measurements.
        given: the cluster.

    Raises:
        InputError: a cell's cost is unknown and it is not said what it takes, or the limit is too
            short.
    """
    costs = [cost for cost in read_costs(costs_path) if cost.device == given.device]
    found = [estimate(cell, costs) for cell in cells]
    unknown = [item for item in found if item.found is None]
    if unknown and given.cell_min is None:
        raise InputError(
            f"the cost of {len(unknown)} of {len(found)} cells is unknown on {given.device}; name "
            "a measured device with --device, or say with --cell-min what such a cell is to take"
        )
    # Longest first is not what Snakemake does: it submits in the order of the DAG.
    assumed_s = 60.0 * (given.cell_min or 0)
    work_s = [assumed_s if item.found is None else item.seconds() for item in found]
    work_s *= given.times
    limit_s = None if given.limit_min is None else 60.0 * given.limit_min
    rows = [["GPUs", "hours", "submitted", "longest queue", "GPUs held", "of it at work"]]
    for gpus in given.gpus:
        try:
            run = simulate(work_s, Site(gpus, given.jobs, limit_s, given.start_s, given.submit_s))
        except ValueError as error:
            raise InputError(f"--limit-min: {error}") from error
        rows.append(
            [
                str(gpus),
                f"{run.makespan_s / 3600:.1f}",
                str(run.submissions),
                str(run.longest_queue),
                f"{run.busy:.0%}",
                f"{run.worked / run.busy:.0%}",
            ]
        )
    total = f"{len(work_s)} cells, {sum(work_s) / 3600:.1f} GPU hours"
    basis = f"measured on {given.device}" if len(unknown) < len(found) else "assumed"
    note = f"; {len(unknown)} of {len(found)} taken to need {given.cell_min} min" if unknown else ""
    return "\n".join([f"{total}, {basis}{note}", "", *aligned(rows, ()), ""])
