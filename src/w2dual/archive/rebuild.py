"""Tables and figures of an unpacked archive again, without any training."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from w2dual.archive import isolation, layout
from w2dual.archive import steps as rendering
from w2dual.archive.container import MANIFEST, read_manifest
from w2dual.records import InputError, file_sha256, read_json

log = logging.getLogger(__name__)


def recorded(root: Path) -> tuple[str, list[rendering.Step]]:
    """Return the folder of outputs and the recorded commands of an unpacked archive, in order.

    Raises:
        InputError: `root` is not an unpacked archive, or a command may not be run.
    """
    if root.is_file():
        raise InputError(f"{root}: is a file, expected a folder; `w2dual unpack {root} --into NEW`")
    name = root / layout.RENDER
    folder, steps = layout.read_commands(read_json(name), name)
    if os.path.isabs(folder) or ".." in Path(folder).parts:
        raise InputError(f"{name}: folder {folder!r} leads out of the archive")
    steps = rendering.in_order(steps)
    for step in steps:
        rendering.check(step, folder)
    return folder, steps


def rebuild(root: Path, run: rendering.Runner) -> tuple[list[str], list[str], dict[str, list[str]]]:
    """Make every table and figure again, in place.

    `run` runs a recorded command. Returns the files that came out with the archive's bytes, those
    that did not (figures may differ in pixels from machine to machine), and those not made, with
    the inputs they lack.
    """
    folder, steps = recorded(root)
    hashes = read_manifest((root / MANIFEST).read_text(encoding="utf-8"))
    same, other, lacking = [], [], {}
    with isolation.kept_from(root):
        for step in steps:
            missing = [name for name in step.inputs if not (root / folder / name).is_file()]
            if missing:
                lacking |= {name: missing for name in step.outputs}
                continue
            rendering.run(step, root, folder, run)
            for name in step.outputs:
                inside = name if folder == "." else f"{folder}/{name}"
                equal = file_sha256(root / inside) == hashes.get(inside)
                (same if equal else other).append(inside)
                log.info("%s: %s", inside, "the same bytes" if equal else "OTHER BYTES")
    return same, other, lacking


def rebuild_all(root: Path, run: rendering.Runner) -> None:
    """Make every table and figure again, and say how many came out with the same bytes.

    Raises:
        InputError: something could not be made; the message names it and what it lacks.
    """
    same, other, lacking = rebuild(root, run)
    log.info("%d files made again: %d with the same bytes, %d without", len(same) + len(other),
             len(same), len(other))  # fmt: skip
    if lacking:
        listed = "\n".join(f"  {name}: lacks {', '.join(gone)}" for name, gone in lacking.items())
        raise InputError(f"not made, since the archive leaves out large measures:\n{listed}")
