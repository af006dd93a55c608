"""Checkpoints of a training job: what a killed job resumes from, to the same numbers.

They lie in a folder next to the outputs, which Snakemake does not know and so does not wipe, each
in a file `step-NNNNNNNNN.safetensors` that holds all that the result depends on. A file is used
only where its content is whole (SHA-256) and everything that could move a bit is as it was when it
was written: cell and settings, measures, the code that trains, JAX, device. Any other is refused,
which the log says with the reason, and stays where it is: it does not count among those to keep,
and goes when the cell has finished, or when a file of the same step replaces it, which is logged.
"""

from __future__ import annotations

import hashlib
import logging
import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from w2dual import environment, provenance
from w2dual.config.cells import Cell
from w2dual.records import (
    InputError,
    canonical_json,
    finite,
    load_arrays,
    remove_partials,
    save_arrays,
)
from w2dual.training import attempts, status
from w2dual.training.health import Totals
from w2dual.training.loop import shards
from w2dual.training.methods import State
from w2dual.training.progress import Timing
from w2dual.training.stopping import Stopped

log = logging.getLogger(__name__)

FORMAT = 2
EVERY_S = 300.0
KEEP = 2
PATTERN = "step-*.safetensors"
WORDS = {
    "cell": "cell and its settings",
    "measures": "SHA-256 of the measures",
    "code": "digest of the code that trains",
    **{name: f"version of {name}" for name in provenance.LIBRARIES},
    "device": "device",
    "flags": "XLA_FLAGS",
    "environment": "variables of the environment that move numbers",
    "shards": "number of devices that share a batch",
}


@dataclass
class Snapshot:
    """All that the result of a cell depends on, between two chunks of its training."""

    state: Any  # a `methods.State`
    history: list[dict[str, Any]]
    timing: Timing
    totals: Totals


def origin(cell: Cell, measures_sha256: str, code_digest: str) -> dict[str, str | None]:
    """Return what must be the same for a checkpoint to be used; the keys are those of `WORDS`.

    Args:
        cell: the cell.
        measures_sha256: of the prepared pair's file.
        code_digest: `closure.digest` of the job that trains.
    """
    versions = provenance.package_versions()
    return {
        "cell": f"{cell.name} {cell.hash}",
        "measures": measures_sha256,
        "code": code_digest,
        **{name: versions[name] for name in provenance.LIBRARIES},
        "device": provenance.device_name(),
        "flags": environment.xla_flags(),
        "environment": canonical_json(environment.moving()),
        "shards": str(shards(cell.training.batch_size)),
    }


class Checkpoints:
    """The folder of a cell's checkpoints, as one training job uses it."""

    def __init__(
        self,
        folder: Path,
        origin: Mapping[str, str | None],
        every_s: float = EVERY_S,
        keep: int = KEEP,
    ) -> None:
        """Take the folder, which need not exist, and when to write and how many to keep.

        Raises:
            InputError: `every_s` or `keep` is out of range.
        """
        if not (every_s > 0 and math.isfinite(every_s)):
            raise InputError(f"checkpoints every {every_s} s: expected seconds above 0")
        if keep < 1:
            raise InputError(f"checkpoints to keep: {keep}; expected 1 or more")
        self.folder = folder
        self.origin = dict(origin)
        self.every_s = every_s
        self.keep = keep
        self.newest_step: int | None = None
        self.began_at = 0
        self._parts: list[Checkpoints] = []
        self._usable: list[Path] = []  # by step; the refused are not among them
        self._refused: list[Path] = []
        self._last = time.monotonic()

    def part(self, name: str) -> Checkpoints:
        """Return the checkpoints of a part of the cell, in a folder of their own in this one."""
        self._parts.append(Checkpoints(self.folder / name, self.origin, self.every_s, self.keep))
        return self._parts[-1]

    def resume(self, like: State) -> Snapshot | None:
        """Read the newest checkpoint that can be used, and note that an attempt begins.

        Args:
            like: a state of the cell, arrays or `jax.ShapeDtypeStruct`.

        Returns:
            What it holds, or None where training has to start from the beginning.
        """
        snapshot = self._newest(like)
        attempts.begin(self.folder, self.began_at)
        return snapshot

    def _newest(self, like: State) -> Snapshot | None:
        """Read the newest that can be used; the log names the others, with the reason."""
        remove_partials(self.folder / PATTERN)
        newest = None
        for path in sorted(self.folder.glob(PATTERN)):
            try:
                newest = path, read(path, self.origin, like)
                self._usable.append(path)
            except InputError as error:
                self._refused.append(path)
                log.warning("checkpoint refused: %s", error)
        self._last = time.monotonic()
        if newest is None:
            if self._refused:
                log.warning("no checkpoint can be used: training starts from the beginning")
            return None
        path, snapshot = newest
        self.newest_step = self.began_at = int(snapshot.state.step)
        snapshot.timing.resumed_at_steps.append(self.newest_step)
        log.info("resumes from %s, step %d", path, self.newest_step)
        return snapshot

    def tend(self, snapshot: Snapshot, signum: int | None, last: bool = False) -> None:
        """Save between two chunks if `every_s` have passed, a signal came, or it was the last.

        Args:
            snapshot: what to save.
            signum: the signal that asked training to stop; None where none did.
            last: whether no step is left.

        Raises:
            Stopped: there was a signal.
        """
        if last or signum is not None or time.monotonic() - self._last >= self.every_s:
            self.save(snapshot)
        if signum is not None:
            raise Stopped(int(snapshot.state.step), self.newest_step, signum, self.began_at)

    def save(self, snapshot: Snapshot) -> None:
        """Write a checkpoint unless there is one of this step, then remove the oldest ones.

        Where it cannot be written (a full disk), the log says so and training goes on.
        """
        step = int(snapshot.state.step)
        self._last = time.monotonic()
        if step == self.newest_step:
            return
        path = self.folder / f"step-{step:09d}.safetensors"
        try:
            write(path, self.origin, snapshot)
        except OSError as error:
            log.warning("no checkpoint at step %d: %s", step, error)
            return
        if path in self._refused:
            log.warning("%s: was refused, and is now replaced", path)
            self._refused.remove(path)
        self.newest_step = step
        self._usable.append(path)
        while len(self._usable) > self.keep:
            self._usable.pop(0).unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove the checkpoints, the refused among them, and the folder unless it holds more."""
        for part in self._parts:
            part.remove()
        for path in self._refused:
            log.warning("%s: was refused, and is removed since its cell has finished", path)
        for path in self.folder.glob(PATTERN):
            path.unlink(missing_ok=True)
        remove_partials(self.folder / PATTERN)
        for name in (status.NAME, attempts.NAME):
            (self.folder / name).unlink(missing_ok=True)
            remove_partials(self.folder / name)
        try:
            self.folder.rmdir()
        except OSError as error:
            log.warning("%s: stays: %s", self.folder, error.strerror)


def write(path: Path, origin: Mapping[str, str | None], snapshot: Snapshot) -> None:
    """Write a checkpoint, atomically.

    Raises:
        OSError: the file cannot be written.
    """
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(snapshot.state)]
    arrays = {f"state/{i:04d}": leaf for i, leaf in enumerate(leaves)}
    arrays |= {f"incidents/{name}": leaf for name, leaf in snapshot.totals.arrays().items()}
    # As arrays, since JSON has no word for the numbers that are not finite.
    columns = list(snapshot.history[0]) if snapshot.history else []
    for name in columns:
        arrays[f"history/{name}"] = np.asarray([row[name] for row in snapshot.history])
    metadata = {
        "format": FORMAT,
        "origin": dict(origin),
        "columns": columns,
        "timing": finite(asdict(snapshot.timing)),
    }
    save_arrays(path, arrays, metadata | {"sha256": _digest(arrays, metadata)})


def read(path: Path, origin: Mapping[str, str | None], like: State) -> Snapshot:
    """Read a checkpoint.

    Raises:
        InputError: it is damaged, of another format or origin, or its arrays do not fit `like`;
            the message names the file and the reason.
    """
    arrays, metadata = load_arrays(path)
    if not isinstance(metadata, dict) or metadata.get("format") != FORMAT:
        found = metadata.get("format") if isinstance(metadata, dict) else metadata
        raise InputError(f"{path}: its format is {found!r}, here it is {FORMAT}")
    if metadata.pop("sha256", None) != _digest(arrays, metadata):
        raise InputError(f"{path}: is damaged: its content has not the SHA-256 it was written with")
    for name, word in WORDS.items():
        found, wanted = metadata["origin"].get(name), origin[name]
        if found != wanted:
            raise InputError(f"{path}: its {word} is {found!r}, here it is {wanted!r}")
    wanted = jax.tree.leaves(like)
    names = [name for name in sorted(arrays) if name.startswith("state/")]
    leaves = [arrays[name] for name in names]
    if [(a.shape, a.dtype) for a in leaves] != [(a.shape, a.dtype) for a in wanted]:
        raise InputError(f"{path}: its arrays are not those of the cell's networks and optimiser")
    columns = [arrays[f"history/{name}"].tolist() for name in metadata["columns"]]
    rows = zip(*columns, strict=True)
    timing = Timing(**metadata["timing"])
    timing.pretraining = {k: math.nan if v is None else v for k, v in timing.pretraining.items()}
    return Snapshot(
        # Copies, since the loop is given the state to overwrite.
        state=jax.tree.unflatten(jax.tree.structure(like), [jnp.array(leaf) for leaf in leaves]),
        history=[dict(zip(metadata["columns"], row, strict=True)) for row in rows],
        timing=timing,
        totals=Totals.of_arrays(
            {
                name.removeprefix("incidents/"): array
                for name, array in arrays.items()
                if name.startswith("incidents/")
            }
        ),
    )


def _digest(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any]) -> str:
    digest = hashlib.sha256(canonical_json(metadata).encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
