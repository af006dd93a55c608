"""Signals that ask a training job to stop: SIGTERM (a batch system before it kills) and SIGUSR1."""

from __future__ import annotations

import signal
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
            f"the same command resumes from {where}"
        )
        self.signum = signum


class EarlyWarning:
    """A context in which SIGUSR1 waits until training takes it up: a batch system sends it once.

    Before the first step there is nothing to save; without this the warning would be lost there.
    """

    def __init__(self) -> None:
        """Note nothing yet."""
        self.received: int | None = None

    def __enter__(self) -> EarlyWarning:
        """Take the signal over."""
        self._before = signal.signal(signal.SIGUSR1, self)
        return self

    def __exit__(self, *_: object) -> None:
        """Restore the handler that was there before."""
        signal.signal(signal.SIGUSR1, self._before)

    def __call__(self, signum: int, _: FrameType | None) -> None:
        """Note it: this object is the signal's handler."""
        self.received = signum


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
            before = signal.signal(signum, self._note)
            self._before[signum] = before
            if isinstance(before, EarlyWarning):
                self.received = before.received or self.received
        return self

    def __exit__(self, *_: object) -> None:
        """Restore the handlers that were there before."""
        for signum, handler in self._before.items():
            signal.signal(signum, handler)

    def _note(self, signum: int, _: FrameType | None) -> None:
        self.received = signum
