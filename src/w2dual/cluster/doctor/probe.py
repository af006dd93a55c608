"""The doctor's probe: one short job with what training jobs ask for, and what became of it.

It is submitted with all that training asks for, since a limit that keeps training jobs from ever
starting keeps this one too. Once it is in the queue its time is cut to two minutes, so that it fits
in before others. Light: JAX is not imported.
"""

from __future__ import annotations

import json
import re
import shlex
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from w2dual.cluster.doctor.checks import Answer, Finding, Level, Setting
from w2dual.cluster.facts import read_job

CHECK = "probe job"
MINUTES = 2
"""What the probe is given once it is in the queue."""
LOOK_S = 2.0
"""Seconds between two looks at it."""
LOOKS = 5
"""How often in a row a reason must be seen that no waiting resolves: some come and go."""
OUTPUT_S = 20.0
"""Seconds that a shared file system gets to show what the job wrote."""
RUNNING_S = 60.0 * MINUTES + 60
"""Seconds that the job gets from its start to its end."""
WAITING = ("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "SPECIAL_EXIT")
ACTIVE = ("RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "STAGE_OUT", "SIGNALING", "RESIZING")

# Reasons that stay until the request, the user's rights or the cluster's configuration change, as
# `scontrol show job` has them, and the sentences that SLURM puts in their place.
_NEVER = re.compile(
    r"Partition(Config|Down|Inactive|NodeLimit|TimeLimit)|AccountNotAllowed|InvalidAccount"
    r"|QOSNotAllowed|InvalidQOS|ReqNodeNotAvail(?!\w*,?_*Reserved)|BadConstraints|JobHeld(Admin|User)"
    r"|ReservationDeleted|DeadLine|launch_failed"
    r"|AssocGrp|AssocMaxWall|QOSMaxWall|QOSMin|(Assoc|QOS)Max\w*Per(Job|Node)|QOSGrp\w*Minutes"
    r"|\w*not_permitted\w*",
    re.IGNORECASE,
)
# These may be a matter of what others run now: a group's share is free again when their jobs end.
_GROUP = re.compile(r"AssocGrp(?!\w*Minutes)", re.IGNORECASE)

Run = Callable[..., Answer]


@dataclass(frozen=True)
class Watched:
    """What became of a job.

    Attributes:
        job: its number.
        state: SLURM's word; empty where it no longer knows the job, which has ended then.
        reason: why it waits; empty once it has started.
        start: when SLURM expects it to start; empty where it does not say.
        waited_s: seconds since it was submitted.
    """

    job: str
    state: str
    reason: str
    start: str
    waited_s: float

    @property
    def waits(self) -> bool:
        """Whether it has not started."""
        return self.state in WAITING

    @property
    def ended(self) -> bool:
        """Whether it runs no more."""
        return not self.waits and self.state not in ACTIVE


def never(reason: str) -> bool:
    """Whether a job that waits for this reason waits for ever, unless something is changed."""
    return _NEVER.match(reason) is not None or "not_permitted" in reason


def probe(
    run: Run,
    request: Sequence[str],
    words: Sequence[str],
    wait_s: float,
    judge: Callable[[Answer], Finding],
    known: Sequence[Setting] = (),
) -> Finding:
    """Submit the probe, follow it and leave nothing of it in the queue.

    Args:
        run: runs a command.
        request: sbatch's options for a training job.
        words: what the job runs.
        wait_s: seconds that it may wait for its start.
        judge: says what follows from what it printed.
        known: what an earlier probe found out, which stays true while this one waits.
    """
    # In the checkout, which the node has to see anyway. Relative: sbatch reads `%` as a pattern.
    with tempfile.TemporaryDirectory(prefix=".doctor-", dir=".") as folder:
        output = Path(folder) / "probe.txt"
        submitted = run(
            *("sbatch", "--parsable", "--job-name=w2dual-doctor", *request),
            *(f"--output={output}", f"--wrap={shlex.join(words)}"),
        )
        job = submitted.out.strip().partition(";")[0]
        if submitted.code or not job.isdigit():
            return refused(submitted, request)
        ended = False
        try:
            watched = follow(run, job, wait_s)
            ended = watched.ended
        finally:  # also at Ctrl-C
            if not ended:
                run("scancel", job)
        if not ended:
            return waiting(watched, request, known) if watched.waits else stuck(watched)
        said = _read(output)
    if "{" in said:
        return judge(Answer(0, said))
    lines = said.strip().splitlines()
    last = lines[-1] if lines else f"it printed nothing, and is {watched.state or 'gone'}"
    return judge(Answer(1, said, f"job {job}: {last}"))


def follow(run: Run, job: str, wait_s: float) -> Watched:
    """Look at a job until it has ended, has waited long enough, or is seen to wait for ever."""
    began = time.monotonic()
    started: float | None = None
    hopeless, cut = 0, False
    while True:
        answer = run("scontrol", "show", "job", job, "--oneliner")
        now = time.monotonic()
        watched = _watched(job, answer, now - began)
        if watched.ended:
            return watched
        if watched.waits:
            hopeless = hopeless + 1 if never(watched.reason) else 0
            if hopeless >= LOOKS or watched.waited_s >= wait_s:
                return watched
            if not cut and not hopeless and watched.reason:
                cut = True
                run("scontrol", "update", f"JobId={job}", f"TimeLimit={MINUTES}")
        else:
            started = started or now
            if now - started >= RUNNING_S:
                return watched
        time.sleep(LOOK_S)


def _watched(job: str, answer: Answer, waited_s: float) -> Watched:
    record = read_job(answer.out)
    state = record.get("JobState", "")
    if not record and answer.code == 124:
        state = "PENDING"  # the controller did not answer this time
    reason = record.get("Reason", "") if state in WAITING else ""
    start = record.get("StartTime", "")
    return Watched(
        job,
        state,
        reason.replace("None", ""),
        "" if start in ("Unknown", "N/A") else start.replace("T", " "),
        waited_s,
    )


def _read(output: Path) -> str:
    """Return what the job wrote, as soon as it can be seen here."""
    end = time.monotonic() + OUTPUT_S
    while True:
        said = output.read_text(errors="replace") if output.exists() else ""
        if said.strip() or time.monotonic() > end:
            return said
        time.sleep(LOOK_S)


# ---------------------------------------------------------------- what follows from it


def refused(answer: Answer, request: Sequence[str]) -> Finding:
    """Return the finding where sbatch does not take the job."""
    return Finding(
        CHECK,
        Level.FAIL,
        f"sbatch refuses it: {answer.words}",
        f"training jobs are submitted with `{shlex.join(request)}`: ask your site what is wrong "
        "with that, or name another partition with --partition",
    )


def waiting(watched: Watched, request: Sequence[str], known: Sequence[Setting]) -> Finding:
    """Return the finding where the job has not started: a fault only if it never would."""
    reason = watched.reason.replace("_", " ") or "SLURM gives no reason"
    if never(watched.reason):
        share = (
            "if your group's share is in use now, look again when its jobs have ended; else "
            if _GROUP.match(watched.reason)
            else ""
        )
        return Finding(
            CHECK,
            Level.FAIL,
            f"it would wait forever, as training jobs would: {reason}. It is taken from the queue",
            f"{share}ask your site about `{shlex.join(request)}`, or name another partition with "
            "--partition",
        )
    start = f"; SLURM expects a start at {watched.start}" if watched.start else ""
    old = f", except {', '.join(str(s.value) for s in known)} from before" if known else ""
    return Finding(
        CHECK,
        Level.NOTE,
        f"pending for {watched.waited_s:.0f} s, then taken from the queue: {reason}{start}. The "
        "cluster is busy, which is not a fault: SLURM has accepted the request, and training jobs "
        f"will wait their turn. Still unknown: what a node sees of JAX, its GPU and the "
        f"checkout{old}",
        "look again later, or wait longer with --probe-wait SECONDS; --no-probe leaves it out",
        tuple(known),
    )


def stuck(watched: Watched) -> Finding:
    """Return the finding where the job has started and does not end."""
    return Finding(
        CHECK,
        Level.FAIL,
        f"it started and did not end in {RUNNING_S:.0f} s (job {watched.job}, {watched.state})",
        "a node may not reach the checkout's disk: try `sbatch --wrap hostname` by hand, or name "
        "another partition with --partition",
    )


def kept(known: Sequence[Setting]) -> Finding:
    """Return the finding where no probe was asked for, but an earlier one found something out."""
    devices = ", ".join(str(setting.value) for setting in known)
    return Finding(CHECK, Level.OK, f"none; an earlier one ran on {devices}", "", tuple(known))


def judge(answer: Answer, gpus: int, measured: Sequence[str], forced: str | None) -> Finding:
    """Return what follows from what the job saw, by the line of JSON that it printed.

    Args:
        answer: of the job.
        gpus: how many a training job asks for.
        measured: devices in the file of costs.
        forced: JAX_PLATFORMS, which the job takes over; None where it is not set.
    """
    line = next((line for line in answer.out.splitlines() if line.startswith("{")), None)
    if line is None:
        return Finding(
            CHECK,
            Level.FAIL,
            f"it gave no result: {answer.words}",
            "submit one by hand to see why: sbatch --wrap hostname; then give doctor the partition "
            "with --partition, or leave the probe out with --no-probe",
        )
    seen = json.loads(line)
    text = f"on {seen['host']}, job {seen['job']}: JAX {seen['jax']} sees {seen['device']}"
    if seen.get("error"):
        return Finding(
            CHECK,
            Level.FAIL,
            f"on {seen['host']}: {seen['error']}",
            "is the checkout's .venv where the node sees it? Run `make env` there",
        )
    if gpus and seen["platform"] == "cpu":
        if forced == "cpu":
            remedy = "unset JAX_PLATFORMS to train on the GPU"
            return Finding(CHECK, Level.NOTE, f"{text}, as JAX_PLATFORMS=cpu asks for", remedy)
        return Finding(
            CHECK,
            Level.FAIL,
            f"{text}, and no GPU",
            "`make env JAX=cuda12` (or cuda13, by the node's driver), then doctor again",
        )
    if seen["device"] in measured:
        setting = Setting(
            ("config", "site_device"),
            seen["device"],
            "the probe job ran on it, and reference/costs.csv has its times: jobs ask for these",
        )
        return Finding(CHECK, Level.OK, text, "", (setting,))
    return Finding(
        CHECK,
        Level.NOTE if gpus else Level.OK,
        f"{text}; reference/costs.csv has no times of it, so jobs ask for resources.runtime_min",
        "`python -m w2dual time` on such a node tells what cells cost there" if gpus else "",
    )
