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

FIRST_POLL_S = 30.0
POLL_GROWTH_S = 10.0
LONGEST_POLL_S = 180.0


@dataclass(frozen=True)
class Site:
    """The cluster, and what a job costs beside its work; all times in seconds.

    Attributes:
        gpus: jobs that run at once.
        jobs: jobs that Snakemake has submitted and not seen end, at most.
        limit_s: the time limit of a job; None for none.
        start_s: of starting a job: Snakemake twice, and the programs' compilation anew.
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
