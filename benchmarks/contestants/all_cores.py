"""w2dual's fused loop on all cores, in a process of its own.

It shares a batch among as many CPU devices of JAX's as there are cores. How many there are is
settled once in a process, and the others, which use one device, are slower where there are several.
So it trains its own warm state, of the same settings, and answers a number of steps by seconds.
"""

from __future__ import annotations

import logging
import multiprocessing
from multiprocessing.connection import Connection
from typing import Any

import jax

from benchmarks.case import make
from benchmarks.contestants.ours import FusedLoop
from w2dual.backend import configure
from w2dual.records import InputError


class AllCores:
    """The process, as a contestant."""

    def __init__(self, dimension: int, potential: str, threads: int, quick: bool) -> None:
        """Start it, and wait until it is warm.

        Raises:
            InputError: it failed; its own words stand on the standard error stream.
        """
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(
            target=_serve, args=(theirs, dimension, potential, threads, quick), daemon=True
        )
        self.process.start()
        theirs.close()
        self._facts: dict[str, Any] = self._answer()
        self.first_call_s: float = self._facts.pop("first_call_s")

    def block(self, steps: int) -> float:
        """Take steps from the warm state; return the seconds they took.

        Raises:
            InputError: the process has ended.
        """
        self.connection.send(steps)
        return self._answer()

    def facts(self) -> dict[str, Any]:
        """Return the state of the conjugation at the warm state, and end the process."""
        self.connection.close()
        self.process.join()
        return self._facts

    def _answer(self) -> Any:
        try:
            return self.connection.recv()
        except EOFError as error:
            self.process.join()
            raise InputError(
                f"contestant `all_cores` ended with status {self.process.exitcode}"
            ) from error


def _serve(asked: Connection, dimension: int, potential: str, threads: int, quick: bool) -> None:
    """Train the warm state, then take as many steps as each message says, until it closes."""
    logging.basicConfig(level=logging.WARNING)
    configure(threads=threads, devices=threads)
    jax.config.update("jax_enable_compilation_cache", False)
    case = make(dimension, potential, quick)
    loop = FusedLoop(case)
    asked.send(loop.facts() | {"first_call_s": case.first_call_s})
    while True:
        try:
            steps = asked.recv()
        except EOFError:
            return
        asked.send(loop.block(steps))
