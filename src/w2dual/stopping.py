"""Signals that ask a training job to stop: SIGTERM (a batch system before it kills) and SIGUSR1."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class Stopped(Exception):
    """Training has ended early because a signal asked for it; a checkpoint says how far it got."""

    def __init__(self, step: int, newest: int | None, signum: int, began_at: int = 0) -> None:
        """Take the steps reached, of the newest checkpoint and started from, and the signal."""
        where = "there" if newest == step else "the start" if newest is None else f"step {newest}"
        super().__init__(
            f"stopped at step {step} by {signal.Signals(signum).name}, "
            f"{step - began_at} steps further than this attempt began; "
            f"the same command goes on from {where}"
        )
        self.signum = signum


@contextmanager
def warning_kept() -> Iterator[None]:
    """A context in which SIGUSR1 waits until training takes it up: a batch system sends it once.

    Before the first step there is nothing to save; without this the warning would be lost there.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class StopSignals:
    """A context in which SIGTERM and SIGUSR1 are noted in `received` and end nothing."""

    def __init__(self, active: bool = True) -> None:
        """Note nothing yet; one that is not `active` leaves the signals as they are."""
        self.active = active
        self.received: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopSignals:
        """Take over both signals."""
        for signum in (signal.SIGTERM, signal.SIGUSR1) if self.active else ():
            self._before[signum] = signal.signal(signum, self._note)
        if self.active:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})
        return self

    def __exit__(self, *_: object) -> None:
        """Give them back."""
        for signum, handler in self._before.items():
            signal.signal(signum, handler)

    def _note(self, signum: int, _: FrameType | None) -> None:
        self.received = signum
