"""Measured costs of training: one record each, their file, and those of finished runs.

Light: JAX is not imported.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from w2dual.config.assembly import hidden_widths
from w2dual.config.cells import Cell
from w2dual.config.rows import OWN
from w2dual.decimals import number, whole_number
from w2dual.records import InputError, read_json, write_text

COSTS = Path("reference") / "costs.csv"
"""Our measurements, in the checkout."""
PAPER_WIDTHS = "paper"


@dataclass(frozen=True, kw_only=True)
class Cost:
    """One measurement, a line of the costs file.

    Attributes:
        device: the name that JAX gives it, or `CPU: ` and the processor's.
        kind: cpu or gpu.
        threads: of the CPU; 0 with a GPU, where they hardly count.
        hidden: widths of the networks: `paper`, or numbers with `-` between.
        ms_per_step: of training, all seeds together; the median over blocks of steps.
        ms_per_step_low: of the fastest block.
        ms_per_step_high: of the slowest block.
        compile_s: all that is paid once, before the first step.
        pretraining_s: of `pretraining_steps` steps of pre-training both networks.
        pretraining_steps: 0 of a finished cell without pre-training; in a file above 0.
        iterations_mean: of the conjugate solver while the steps were timed.
        source: what was measured, in a few words, or the file it was taken from.
    """

    device: str
    kind: str
    threads: int
    potential: str
    amortization: str
    solver: str
    hidden: str
    dimension: int
    batch_size: int
    seeds: int
    ms_per_step: float
    ms_per_step_low: float
    ms_per_step_high: float
    compile_s: float
    pretraining_s: float
    pretraining_steps: int
    iterations_mean: float
    steps_measured: int
    warm_up_steps: int
    measured_on: str
    commit: str
    source: str

    @property
    def key(self) -> tuple[Any, ...]:
        """What one measurement is told from another by."""
        return tuple(getattr(self, name) for name in KEY)

    @property
    def figures(self) -> Figures:
        """The numbers that an estimate is made from; no pre-training takes 0 ms a step."""
        steps = self.pretraining_steps
        return Figures(
            self.ms_per_step,
            self.ms_per_step_low,
            self.ms_per_step_high,
            1000 * self.pretraining_s / steps if steps else 0.0,
            self.compile_s,
        )


COLUMNS = tuple(item.name for item in dataclasses.fields(Cost))
KEY = ("device", "kind", "threads", "potential", "amortization", "solver", "hidden") + (
    "dimension",
    "batch_size",
    "seeds",
)
_FROM_ZERO = ("threads", "iterations_mean", "warm_up_steps")
_MAY_BE_EMPTY = ("commit",)


class Figures(NamedTuple):
    """Of one cell: times of one step in milliseconds, then what is paid once, in seconds."""

    ms_per_step: float
    ms_per_step_low: float
    ms_per_step_high: float
    pretraining_ms_per_step: float
    compile_s: float


# ---------------------------------------------------------------- measurements in files


def read_costs(path: str | Path) -> list[Cost]:
    """Read a costs file; one that holds the header alone gives no measurements.

    Raises:
        InputError: the file is missing, a column is missing or unknown, a value does not fit, or
            there is a duplicate measurement; the message names file, line and column.
    """
    try:
        with open(path, encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream)
            header = list(reader.fieldnames or ())
            lines = [(reader.line_num, line) for line in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"costs file {path}: cannot be read: {error}") from error
    if missing := [name for name in COLUMNS if name not in header]:
        raise InputError(
            f"costs file {path}: lacks the column(s) {', '.join(missing)}; the header is to be\n"
            + ",".join(COLUMNS)
        )
    if unknown := [name for name in header if name not in COLUMNS]:
        raise InputError(f"costs file {path}: has unknown column(s) {', '.join(unknown)}")
    seen: dict[tuple[Any, ...], int] = {}
    costs = []
    for place, line in lines:
        where = f"costs file {path}, line {place}"
        cost = _parse(line, where)
        if cost.key in seen:
            raise InputError(
                f"{where}: measures the same as line {seen[cost.key]}; keep one of them"
            )
        seen[cost.key] = place
        costs.append(cost)
    return costs


def _parse(line: Mapping[Any, Any], where: str) -> Cost:
    if None in line or None in line.values():
        named = sum(value is not None for name, value in line.items() if name is not None)
        found = named + len(line.get(None, ()))
        raise InputError(f"{where}: expected {len(COLUMNS)} fields, found {found}")
    values = {
        item.name: _value(item.name, str(item.type), line[item.name].strip(), where)
        for item in dataclasses.fields(Cost)
    }
    cost = Cost(**values)
    if cost.kind not in ("cpu", "gpu"):
        raise InputError(f"{where}: kind is {cost.kind!r}, where cpu or gpu is right")
    if not cost.ms_per_step_low <= cost.ms_per_step <= cost.ms_per_step_high:
        raise InputError(
            f"{where}: ms_per_step {cost.ms_per_step:g} is not between ms_per_step_low "
            f"{cost.ms_per_step_low:g} and ms_per_step_high {cost.ms_per_step_high:g}"
        )
    return cost


def _value(name: str, kind: str, text: str, where: str) -> Any:
    if kind == "str":
        if not text and name not in _MAY_BE_EMPTY:
            raise InputError(f"{where}: {name} is empty")
        return text
    least = "from 0" if name in _FROM_ZERO else "above 0"
    wanted = f"a {'whole ' if kind == 'int' else ''}number {least}"
    try:
        value = whole_number(text) if kind == "int" else number(text)
    except ValueError:
        value = -1
    if value < 0 or (value == 0 and name not in _FROM_ZERO):
        raise InputError(f"{where}: {name} is {text!r}, where {wanted} is right")
    return value


def write_costs(path: str | Path, costs: Iterable[Cost]) -> None:
    """Write a costs file atomically, sorted, with numbers of at most five digits."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for cost in sorted(costs, key=lambda cost: cost.key):
        values = (getattr(cost, name) for name in COLUMNS)
        writer.writerow([f"{v:.5g}" if isinstance(v, float) else v for v in values])
    write_text(path, text.getvalue())


def update(costs: Iterable[Cost], new: Iterable[Cost]) -> list[Cost]:
    """Return the measurements with new ones added, each in the place of one of the same key."""
    return list(({cost.key: cost for cost in costs} | {cost.key: cost for cost in new}).values())


def from_runs(folder: str | Path, threads: int) -> list[Cost]:
    """Take measurements from the finished cells of a working folder.

    Args:
        folder: holds results/train/CELL/metrics.json.
        threads: of the runs on a CPU, which their records do not tell.

    Raises:
        InputError: there are no such files, or one lacks what is needed.
    """
    folder = Path(folder)
    paths = sorted(folder.glob("results/train/*/metrics.json"))
    if not paths:
        raise InputError(f"{folder}: holds no results/train/*/metrics.json of finished cells")
    return update([], (from_record(path, str(path), threads) for path in paths))


def from_record(path: Path, source: str, threads: int = 0) -> Cost:
    """Take a measurement from the record of one finished cell, metrics.json.

    Args:
        path: of the record.
        source: what it is called.
        threads: of a run on a CPU, which the record does not tell.

    Raises:
        InputError: it lacks what is needed.
    """
    record = read_json(path)
    try:
        cell = Cell.from_json(record["cell"])
        timing, provenance = record["timing"], record["provenance"]
        ms = 1000 * float(timing["seconds_per_step"])
        device = str(provenance["device"])
        kind = "cpu" if device.lower().startswith("cpu") else "gpu"
        solved = [float(seed.get("conjugate_iterations_mean") or 0) for seed in record["seeds"]]
        cost = Cost(
            device=device,
            kind=kind,
            threads=threads if kind == "cpu" else 0,
            **method_of(cell),
            dimension=cell.dimension,
            batch_size=cell.training.batch_size,
            seeds=len(cell.seeds),
            ms_per_step=ms,
            ms_per_step_low=ms,
            ms_per_step_high=ms,
            compile_s=float(timing["compile_s"]),
            pretraining_s=float(timing["pretraining_s"]),
            pretraining_steps=int(timing["pretraining_steps"]),
            iterations_mean=sum(solved) / len(solved),
            steps_measured=max(int(seed["steps"]) for seed in record["seeds"]),
            warm_up_steps=0,
            measured_on=str(provenance["ended"])[:10],
            commit=str(provenance.get("git_commit") or ""),
            source=source,
        )
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError, ZeroDivisionError) as error:
        raise InputError(
            f"{path}: is not the record of a finished cell with its times ({error!r}); "
            "remove it, and its job makes it again"
        ) from error
    figures = cost.figures._asdict()
    if cost.pretraining_steps == 0:
        del figures["pretraining_ms_per_step"]
    if not all(math.isfinite(value) and value > 0 for value in figures.values()):
        raise InputError(f"{path}: its `timing` holds a time that is not above 0")
    return cost


WIDTHS = ("hidden", "channels", "widths", "filters")
"""Settings of a potential that say how wide it is, of which it has one."""


def method_of(cell: Cell) -> dict[str, str]:
    """Name what a cell's measurement must agree in: potential, loss, solver and widths.

    Of a method with networks of its own, or a potential that has none of `WIDTHS`, the widths are
    not known here, and are `own`. Those of a map that is a network of its own come after.
    """
    potential = cell.settings.get("potential", {})
    widths = next((potential[name] for name in WIDTHS if potential.get(name)), [OWN])
    widths = [widths, potential["max_filters"]] if isinstance(widths, int) else list(widths)
    widths += [base] if (base := cell.settings.get("amortization_model", {}).get("base")) else []
    as_paper = widths == hidden_widths(PAPER_WIDTHS, cell.dimension)
    return {
        "potential": cell.potential,
        "amortization": cell.amortization,
        "solver": cell.solver,
        "hidden": PAPER_WIDTHS if as_paper else "-".join(map(str, widths)),
    }
