"""What a step of training launches on an H100, by compiling for one; no GPU is needed.

    python -m benchmarks.gpu_count write [CELL ...]    to reference/gpu/launches.csv
    python -m benchmarks.gpu_count check [CELL ...]    ends with code 1 where a cell got worse
    python -m benchmarks.gpu_count floor               arithmetic a step, to reference/gpu/floor.csv

JAX compiles for the card that reference/gpu/h100_sxm.txtpb describes. What is counted are XLA's
thunks: each kernel, copy or library call. Whatever is not in a CUDA graph the host starts, and a
loop that is not in one asks the host each time round whether to go on. How long anything takes, and
how many turns a solver's loop does, this cannot tell.

Without names, `write` counts all cells of the paper's config, `check` those of the table. A row has
the digest of the program that it was counted of: a cell whose program is the same is not compiled
again, so that what was stopped resumes, and cells of one program are compiled once.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import hashlib
import importlib.metadata
import logging
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from w2dual.records import InputError, atomic_path

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "reference" / "gpu" / "h100_sxm.txtpb"
TABLE = ROOT / "reference" / "gpu" / "launches.csv"
ARCHITECTURE = "sm_90a"
MODULE = "jit_run"
"""What XLA calls the loop."""
COMPILERS = ("jax", "jaxlib", "jax-cuda12-pjrt", "nvidia-cuda-nvcc-cu12")
PLANNED = re.compile(r"^Total bytes: (\d+)", re.MULTILINE)
"""In XLA's report of its buffers."""
THUNK = re.compile(r"^( *)\d+: (k\w+)(.*)")
GROUPS = ("kCommandBuffer", "kSequential")
HOST = re.compile(r"kHost|kInfeed|kOutfeed|kSend|kRecv")
"""Thunks that wait for the host."""
OWN = re.compile(r'gpu\.triton.*?name = \\?"(\w+)\\?"')
"""The name of a kernel of our own, in a program."""

log = logging.getLogger("gpu-count")


@dataclass(frozen=True)
class Count:
    """Of one cell.

    Attributes:
        cell: its name.
        step: device operations of a step, outside the loops within it.
        loops: loops within a step: stages of a solver that is no kernel.
        solver: of a turn of the largest of them, its condition's too; 0 where there is no loop.
        nested: of a turn of all loops within that loop.
        round_trips: operations that wait for the host, and loops whose condition it is asked for.
        registers: of a thread of our own kernels, the most; empty where there is none.
        spilled_bytes: stores of what does not fit the registers, of all our own kernels.
        shared_bytes: of a block of our own kernels, the most.
        memory_bytes: of the card, as XLA plans it: arguments, results and all between.
        compile_cpu_s: seconds of processor time that compiling took, where it was counted.
        program: digest of the program and of what compiles it.
    """

    cell: str
    step: int
    loops: int
    solver: int
    nested: int
    round_trips: int
    registers: int | str
    spilled_bytes: int | str
    shared_bytes: int | str
    memory_bytes: int
    compile_cpu_s: float
    program: str


WORSE = ("step", "solver", "nested", "round_trips", "spilled_bytes")


@dataclass
class Loop:
    """A loop, or the whole program: its operations, its condition's too, and the loops in it."""

    operations: int = 0
    loops: list[Loop] = field(default_factory=list)

    @property
    def nested(self) -> int:
        """Operations of all loops within it."""
        return sum(inner.operations + inner.nested for inner in self.loops)


@dataclass
class Thunks:
    """What XLA lists: all operations by the loops they are in, and what waits for the host."""

    whole: Loop = field(default_factory=Loop)
    round_trips: int = 0
    shared_bytes: dict[str, int] = field(default_factory=dict)

    @staticmethod
    def parse(text: str) -> Thunks:
        """Read the list. Nesting is indentation, but for `condition:`, which is at the margin."""
        found = Thunks()
        opened: list[tuple[int, str, Loop]] = []
        for line in text.splitlines():
            if not (match := THUNK.match(line)):
                continue
            indent, kind, rest = len(match[1]), match[2], match[3]
            while opened and opened[-1][0] >= indent:
                opened.pop()
            around = opened[-1][2] if opened else found.whole
            if kind == "kWhile":
                found.round_trips += all(kind != "kCommandBuffer" for _, kind, _ in opened)
                around.loops.append(Loop())
                around = around.loops[-1]
            elif kind not in GROUPS:
                around.operations += 1
                found.round_trips += bool(HOST.match(kind))
            opened.append((indent, kind, around))
            if shared := re.search(r"\] (\w+) grid: .*shared_memory: (\d+)", rest):
                found.shared_bytes[shared[1]] = int(shared[2])
        return found


def registers(dump: Path, kernel: str) -> list[tuple[int, int]]:
    """Ask ptxas for registers and spilled bytes of all kernels of a name.

    Raises:
        LookupError: there is none in XLA's dump, or ptxas says nothing of it.
    """
    found = []
    for path in dump.glob(f"*{MODULE}.*.ptx"):
        entries = re.findall(r"\.entry (\w+)\(", path.read_text())
        if not any(_is(kernel, entry) for entry in entries):
            continue
        command = [_ptxas(), "-v", f"-arch={ARCHITECTURE}", str(path), "-o", os.devnull]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stderr  # noqa: S603
        found += used(text, kernel)
    if not found:
        raise LookupError(f"{kernel}: no registers found in {dump}")
    return found


def used(text: str, kernel: str) -> list[tuple[int, int]]:
    """Read registers and spilled bytes of all kernels of a name from what ptxas says."""
    numbers = []
    for part in text.split("Compiling entry function ")[1:]:
        name = part.partition("'")[2].partition("'")[0]
        spilled = re.search(r"(\d+) bytes spill stores", part)
        registers = re.search(r"Used (\d+) registers", part)
        if _is(kernel, name) and spilled and registers:
            numbers.append((int(registers[1]), int(spilled[1])))
    return numbers


def _is(kernel: str, name: str) -> bool:
    """Whether a name is a kernel's; XLA numbers the second of a name and those that follow."""
    return re.fullmatch(rf"{kernel}(_\d+)?", name) is not None


def _ptxas() -> str:
    import nvidia  # pyright: ignore[reportMissingImports]  # of its own environment

    return str(next(Path(folder) / "cuda_nvcc" / "bin" / "ptxas" for folder in nvidia.__path__))


def counter(dump: Path, known: Callable[[str], Count | None]) -> Callable[[str], Count]:
    """Return what compiles a cell's loop and counts.

    Args:
        dump: an empty folder, which XLA writes to from now on.
        known: digest -> a count of that program, if there is one.
    """
    os.environ["JAX_PLATFORMS"] = "cpu"  # else JAX starts the GPU's backend, which needs a driver
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    os.environ["XLA_FLAGS"] = f"--xla_dump_to={dump} --xla_dump_hlo_module_re={MODULE}"
    import jax
    from jax.experimental import topologies

    from benchmarks.gpu_programs import chosen, program
    from w2dual import backend

    backend.configure()
    # A kernel's text would have the lines and the folder that it is from, and the digest with it.
    jax.config.update("jax_traceback_in_locations_limit", 0)
    topology = topologies.get_topology_desc(
        platform="cuda", topology="1x1x1", target_config=TARGET.read_text()
    )
    mesh = jax.sharding.Mesh(topology.devices, ("device",))
    device = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())

    def count(name: str) -> Count:
        (cell,) = chosen([name])
        lowered = program(cell).lower(
            device, donate_argnums=0, compiler_options=dict(backend.GRAPHS)
        )
        text = lowered.as_text()
        digest = _digest([text, TARGET.read_text(), repr(backend.GRAPHS)])
        if found := known(digest):
            return dataclasses.replace(found, cell=name)
        for path in dump.glob(f"*{MODULE}.*"):
            path.unlink()
        began = time.process_time()
        lowered.compile()
        seconds = round(time.process_time() - began, 1)
        jax.clear_caches()
        return counted(name, dump, set(OWN.findall(text)), seconds, digest)

    return count


def _digest(parts: Iterable[str]) -> str:
    versions = [importlib.metadata.version(name) for name in COMPILERS]
    return hashlib.sha256("\n".join([*parts, *versions]).encode()).hexdigest()[:12]


def counted(name: str, dump: Path, own: set[str], seconds: float, digest: str) -> Count:
    """Count what XLA's dump of a cell's program has.

    Args:
        name: of the cell.
        dump: of this program alone.
        own: names of our own kernels.
        seconds: of processor time that compiling took.
        digest: of the program.
    """
    (path,) = dump.glob(f"*{MODULE}.thunk_sequence_after_thunk_passes.txt")
    thunks = Thunks.parse(path.read_text())
    (steps,) = thunks.whole.loops
    largest = max(steps.loops, key=lambda loop: loop.operations, default=Loop())
    of_kernels: tuple[int | str, ...] = ("", "", "")
    if own:
        found = [numbers for kernel in own for numbers in registers(dump, kernel)]
        shared = (
            size
            for name, size in thunks.shared_bytes.items()
            if any(_is(kernel, name) for kernel in own)
        )
        of_kernels = (max(r for r, _ in found), sum(spilled for _, spilled in found), max(shared))
    return Count(
        name,
        steps.operations,
        len(steps.loops),
        largest.operations,
        largest.nested,
        thunks.round_trips,
        *of_kernels,
        memory_bytes=planned_memory(dump),
        compile_cpu_s=seconds,
        program=digest,
    )


def planned_memory(dump: Path) -> int:
    """Return the bytes of all buffers of the program in XLA's dump.

    Raises:
        LookupError: the dump has no report of them.
    """
    (path,) = dump.glob(f"*{MODULE}.*memory-usage-report.txt")
    found = PLANNED.search(path.read_text())
    if not found:
        raise LookupError(f"{path}: no line `Total bytes`")
    return int(found[1])


def read() -> dict[str, Count]:
    """Read the kept table, with numbers as numbers."""
    if not TABLE.exists():
        return {}

    def typed(name: str, text: str) -> Any:
        if name in ("cell", "program") or not text:
            return text
        return float(text) if name == "compile_cpu_s" else int(text)

    columns = [item.name for item in dataclasses.fields(Count)]
    with TABLE.open(newline="") as file:
        reader = csv.DictReader(file)
        if reader.fieldnames != columns:
            raise InputError(
                f"{TABLE}: its columns are {reader.fieldnames}, where {columns} is right; remove "
                "it, and `make gpu-count` makes it again"
            )
        rows = [Count(**{name: typed(name, row[name]) for name in columns}) for row in reader]
    return {row.cell: row for row in rows}


def write(rows: Iterable[Count]) -> None:
    """Write the table, sorted by cell."""
    lines = sorted((dataclasses.astuple(row) for row in rows), key=lambda line: _place(line[0]))
    with atomic_path(TABLE) as path, path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([[item.name for item in dataclasses.fields(Count)], *lines])


def _place(cell: str) -> tuple[Any, ...]:
    """Sort by pair, by its dimension as a number."""
    return tuple(int(part) if part.isdigit() else part for part in re.split(r"(\d+)", cell))


def worse(kept: Count, now: Count) -> list[str]:
    """Name what is larger than in the kept table."""
    return [
        f"{now.cell}: {name} was {getattr(kept, name) or 0}, is {getattr(now, name) or 0}"
        for name in WORSE
        if (getattr(now, name) or 0) > (getattr(kept, name) or 0)
    ]


def summary(rows: Iterable[Count]) -> list[str]:
    """Name the largest numbers, and every cell with what none should have."""
    rows = list(rows)

    def most(name: str) -> str:
        row = max(rows, key=lambda row: getattr(row, name) or 0)
        return f"most {name}: {getattr(row, name) or 0} ({row.cell})"

    lines = [f"{len(rows)} cells"]
    lines += [
        most(name)
        for name in ("step", "solver", "registers", "shared_bytes", "memory_bytes", "compile_cpu_s")
    ]
    for name, words in (
        ("nested", "loops within the solver's"),
        ("round_trips", "waits for the host"),
        ("spilled_bytes", "a kernel that spills"),
    ):
        cells = [f"{row.cell} ({getattr(row, name)})" for row in rows if getattr(row, name)]
        lines.append(f"{words}: {', '.join(cells) or 'none'}")
    return lines


def main() -> int:
    """Run one command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("command", choices=["write", "check", "floor"])
    parser.add_argument("cells", nargs="*", metavar="CELL")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if args.command == "floor":
        from benchmarks import gpu_floor

        gpu_floor.write()
        return 0
    kept = read()
    with tempfile.TemporaryDirectory() as folder:
        found = _count_all(args.command, args.cells, kept, Path(folder))
    log.info("%s", "\n".join(summary(found.values())))
    if args.command == "write":
        return 0
    complaints = [line for name in found if name in kept for line in worse(kept[name], found[name])]
    complaints += [f"{name}: not in {TABLE}" for name in found if name not in kept]
    log.error("%s", "\n".join(complaints) or "no cell got worse")
    return 1 if complaints else 0


def _count_all(
    command: str, names: list[str], kept: dict[str, Count], folder: Path
) -> dict[str, Count]:
    """Count the cells; `write` has each in the table as soon as it is done."""
    found: dict[str, Count] = {}

    def known(digest: str) -> Count | None:
        rows = [*kept.values(), *found.values()]
        return next((row for row in rows if row.program == digest), None)

    count = counter(folder, known)
    if not names:
        from benchmarks.gpu_programs import cells

        names = list(cells()) if command == "write" else list(kept)
    began = time.perf_counter()
    for number, name in enumerate(names, start=1):
        found[name] = count(name)
        if command == "write":
            write((kept | found).values())
        left = (time.perf_counter() - began) / number * (len(names) - number)
        line = ",".join(map(str, dataclasses.astuple(found[name])))
        log.info("%d of %d, about %.0f min left: %s", number, len(names), left / 60, line)
    return found


if __name__ == "__main__":
    sys.exit(main())
