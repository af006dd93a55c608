"""What a step of training launches on an H100, by compiling for one; no GPU is needed.

    python -m benchmarks.gpu_count write [CELL ...]    to reference/gpu/launches.csv
    python -m benchmarks.gpu_count check [CELL ...]    ends with code 1 where a cell got worse

JAX compiles for the card that reference/gpu/h100_sxm.txtpb describes. What is counted are XLA's
thunks: each kernel, copy or library call. Whatever is not in a CUDA graph the host starts, and a
loop that is not in one asks the host each time round whether to go on. How long anything takes, and
how many turns a solver's loop does, this cannot tell.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "reference" / "gpu" / "h100_sxm.txtpb"
TABLE = ROOT / "reference" / "gpu" / "launches.csv"
ARCHITECTURE = "sm_90a"
THUNK = re.compile(r"^( *)\d+: (k\w+)")
OWN = ("conjugate_", "network_", "push_")
"""What the names of our own kernels begin with."""


@dataclass(frozen=True)
class Count:
    """Of one cell.

    Attributes:
        cell: its name.
        step: device operations of a step, outside the solver's loop.
        solver: of a turn of the solver's loop, its condition's too; 0 where there is no loop.
        nested: of a turn of all loops within that loop.
        round_trips: loops whose condition the host is asked for.
        registers: of a thread of our own kernels, the most; empty where there is none.
        spilled_bytes: stores of what does not fit the registers, of all our own kernels.
    """

    cell: str
    step: int
    solver: int
    nested: int
    round_trips: int
    registers: int | str
    spilled_bytes: int | str


WORSE = ("step", "solver", "nested", "round_trips", "spilled_bytes")


def depths(thunks: str) -> tuple[list[int], int]:
    """Count operations by the number of loops they are in, and the loops outside of graphs.

    Nesting is indentation, but for `condition:`, which stands at the margin.
    """
    counts = [0] * 8
    opened: list[tuple[int, str]] = []
    round_trips = 0
    for line in thunks.splitlines():
        found = THUNK.match(line)
        if not found:
            continue
        indent, kind = len(found[1]), found[2]
        while opened and opened[-1][0] >= indent:
            opened.pop()
        kinds = [kind for _, kind in opened]
        if kind == "kWhile":
            round_trips += "kCommandBuffer" not in kinds
        elif kind not in ("kCommandBuffer", "kSequential"):
            counts[kinds.count("kWhile")] += 1
        opened.append((indent, kind))
    return counts, round_trips


def registers(dump: Path, module: str) -> tuple[int | str, int | str]:
    """Ask ptxas for the registers of our own kernels, the most, and the bytes that they spill."""
    found: list[tuple[int, int]] = []
    for path in dump.glob(f"*{module}*.ptx"):
        command = [_ptxas(), "-v", f"-arch={ARCHITECTURE}", str(path), "-o", os.devnull]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stderr  # noqa: S603
        for part in text.split("Compiling entry function")[1:]:
            spilled = re.search(r"(\d+) bytes spill stores", part)
            used = re.search(r"Used (\d+) registers", part)
            if part.lstrip(" '").startswith(OWN) and spilled and used:
                found.append((int(used[1]), int(spilled[1])))
    if not found:
        return "", ""
    return max(used for used, _ in found), sum(spilled for _, spilled in found)


def _ptxas() -> str:
    import nvidia  # pyright: ignore[reportMissingImports]  # of its own environment

    return str(next(Path(folder) / "cuda_nvcc" / "bin" / "ptxas" for folder in nvidia.__path__))


def count(name: str) -> Count:
    """Compile a cell's loop, in this process, and count."""
    with tempfile.TemporaryDirectory() as folder:
        dump = Path(folder)
        os.environ["XLA_FLAGS"] = f"--xla_dump_to={dump} --xla_dump_hlo_module_re=jit_run"
        _compile(name)
        (path,) = dump.glob("*jit_run*thunk_sequence_after_thunk_passes.txt")
        counts, round_trips = depths(path.read_text())
        used, spilled = registers(dump, "jit_run")
    return Count(name, counts[1], counts[2], sum(counts[3:]), round_trips, used, spilled)


def _compile(name: str) -> None:
    import jax
    import jax.numpy as jnp
    from jax.experimental import topologies

    from w2dual import backend
    from w2dual.config.grid import hd_grid
    from w2dual.config.reader import read as read_config
    from w2dual.site.measured import random_pair
    from w2dual.training import loop
    from w2dual.training.methods.dual import make as make_problem
    from w2dual.training.pretraining import fresh_params

    backend.configure()
    grid = {cell.name: cell for cell in hd_grid(read_config([ROOT / "config.yaml"]))}
    cell = grid[name]
    problem, pair = (
        make_problem(cell.settings, cell.dimension),
        random_pair(cell.dimension),
    )
    state = jax.eval_shape(
        lambda: problem.init(fresh_params(problem, cell, lambda function: function))
    )
    topology = topologies.get_topology_desc(
        platform="cuda", topology="1x1x1", target_config=TARGET.read_text()
    )
    mesh = jax.sharding.Mesh(topology.devices, ("device",))
    place = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())

    def shapes(tree: Any) -> Any:
        return jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place), tree
        )

    jax.default_backend = lambda: "gpu"  # for our branches; JAX's own are the topology's
    batch = cell.training.batch_size
    run = loop._chunk(problem, cell.seeds, batch, 1)
    steps = jax.ShapeDtypeStruct((), jnp.int32, sharding=place)
    jitted = jax.jit(run, donate_argnums=0, compiler_options=dict(backend.GRAPHS))
    jitted.lower(shapes(state), shapes(pair), steps).compile()


def read() -> dict[str, Count]:
    """Read the kept table."""
    if not TABLE.exists():
        return {}
    with TABLE.open(newline="") as file:
        rows = [Count(**row) for row in csv.DictReader(file)]  # pyright: ignore[reportArgumentType]
    return {row.cell: row for row in rows}


def worse(kept: Count, now: Count) -> list[str]:
    """Name what is larger than in the kept table."""
    return [
        f"{now.cell}: {name} was {getattr(kept, name) or 0}, is {getattr(now, name) or 0}"
        for name in WORSE
        if int(getattr(now, name) or 0) > int(getattr(kept, name) or 0)
    ]


def main() -> int:
    """Count the cells given, or those of the kept table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("command", choices=["write", "check", "one"])
    parser.add_argument("cells", nargs="*", metavar="CELL")
    args = parser.parse_args()
    os.environ["JAX_PLATFORMS"] = "cpu"  # else JAX starts the GPU's backend, which needs a driver
    if args.command == "one":
        csv.writer(sys.stdout).writerow(dataclasses.astuple(count(args.cells[0])))
        return 0
    kept = read()
    names, found = args.cells or list(kept), {}
    for name in names:  # a process each: XLA reads where to dump to once
        command = [sys.executable, "-m", "benchmarks.gpu_count", "one", name]
        text = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout  # noqa: S603
        row = next(csv.reader(text.splitlines()[-1:]))
        found[name] = Count(*row)  # pyright: ignore[reportArgumentType]
        os.write(sys.stdout.fileno(), text.encode())
    if args.command == "write":
        rows = [dataclasses.astuple(row) for _, row in sorted((kept | found).items())]
        with TABLE.open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerows([[field.name for field in dataclasses.fields(Count)], *rows])
        return 0
    complaints = [line for name in names if name in kept for line in worse(kept[name], found[name])]
    complaints += [f"{name}: not in {TABLE}" for name in names if name not in kept]
    os.write(sys.stderr.fileno(), "".join(f"{line}\n" for line in complaints).encode())
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
