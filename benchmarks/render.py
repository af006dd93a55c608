"""Renders a record of `benchmarks.run` as a figure, and as tables between markers of a document.

Usage: python -m benchmarks.render RECORD [--document docs/performance.md] [--figure FILE.svg]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from benchmarks.contestants import CONJUGATIONS, LABELS, STEPS
from benchmarks.machine import peak
from w2dual.plots.style import BLACK, BLUE, GREEN, GREY, VERMILLION, style
from w2dual.records import InputError, atomic_path, read_json, write_text

FORMAT = 1
ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "performance.md"
BEGIN = "<!-- benchmarks: begin; `make bench` writes what stands here -->"
END = "<!-- benchmarks: end -->"
PURPLE, SKY = "#CC79A7", "#56B4E9"  # of the same palette as the style's
MARKS = {
    "all_cores": (SKY, "o"),
    "ours": (BLUE, "o"),
    "plain": (VERMILLION, "s"),
    "ott": (GREEN, "^"),
    "jaxopt_zoom": (PURPLE, "D"),
    "jaxopt_backtracking": (GREY, "v"),
    "optimistix": (BLACK, "P"),
}
Case = dict[str, Any]


def number(value: float) -> str:
    """Write three significant digits, thousands with a comma, no exponent."""
    if value == 0 or not np.isfinite(value):
        return f"{value:g}"
    digits = max(0, 2 - int(np.floor(np.log10(abs(value)))))
    return f"{value:,.{digits}f}"


def spread(record: dict[str, float]) -> str:
    """Write a median with its range."""
    low, high = number(record["min"]), number(record["max"])
    return f"{number(record['median'])} ({low} to {high})"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a Markdown table; the first two columns are words, the others numbers."""
    rule = ["---" if i < 2 else "---:" for i in range(len(header))]
    return "\n".join("| " + " | ".join(row) + " |" for row in [header, rule, *rows])


def _name(case: Case) -> str:
    return f"{case['dimension']}, {case['potential'].upper()}"


def _rows(
    cases: Sequence[Case], part: str, order: Sequence[str], row: Callable[[dict[str, Any]], list]
) -> list[list[str]]:
    return [
        [_name(case), LABELS[name], *row(case[part][name])]
        for case in cases
        for name in order
        if name in case[part]
    ]


def steps_table(cases: Sequence[Case]) -> str:
    """Tabulate milliseconds for a training step."""

    def row(record: dict[str, Any]) -> list[str]:
        iterations = record.get("iterations_mean")
        return [
            spread(record["ms"]),
            spread(record["ratio"]) if "ratio" in record else "",
            "" if iterations is None else number(iterations),
            number(record["first_call_s"]),
        ]

    header = ["n, potential", "", "ms a step", "times w2dual", "iterations", "first call, s"]
    return table(header, _rows(cases, "steps", STEPS, row))


def conjugations_table(cases: Sequence[Case]) -> str:
    """Tabulate milliseconds for a conjugation, and how good its result is."""

    def row(record: dict[str, Any]) -> list[str]:
        return [
            spread(record["ms"]),
            spread(record["ratio"]) if "ratio" in record else "",
            f"{number(record['iterations_mean'])}, {record['iterations_max']}",
            f"{record['gradient_norm_median']:.3f}, {record['gradient_norm_max']:.3f}",
            f"{record['converged_percent']:.1f}",
        ]

    header = [
        "n, potential",
        "",
        "ms a batch",
        "times w2dual",
        "iterations: mean, max",
        "gradient norm: median, max",
        "converged, %",
    ]
    return table(header, _rows(cases, "conjugations", CONJUGATIONS, row))


def counts_table(cases: Sequence[Case]) -> str:
    """Tabulate what one of our steps costs in operations."""
    rows = []
    for case in (case for case in cases if "counts" in case):
        record = case["counts"]
        share = [
            f"{100 * record[f'{part}_flop'] / record['flop']:.0f}"
            for part in ("conjugation", "updates", "ground_truth", "sampling")
        ]
        rows.append(
            [
                _name(case),
                ", ".join(map(str, case["hidden"])),
                number(record["evaluations_mean"]),
                number(record["flop"] / 1e6),
                " / ".join(share),
                number(record["bytes"] / 1e6),
                number(record["gflops"]),
                f"{100 * record['fraction_of_peak']:.0f}",
            ]
        )
    header = [
        "n, potential",
        "widths",
        "evaluations a point",
        "MFLOP a step",
        "conjugation / updates / T* / sampling, %",
        "MB moved a step",
        "GFLOP/s",
        "of the peak, %",
    ]
    return table(header, rows)


def text(record: dict[str, Any], figure: str) -> str:
    """Return the generated part of the document."""
    cases, machine, origin = record["cases"], record["machine"], record["provenance"]
    packages = ", ".join(f"{name} {version}" for name, version in origin["packages"].items())
    warm = "; ".join(
        f"{_name(case)}: {case['warmup_steps']:,} steps ({case['pair']} pair)"
        + (
            f", OTT-JAX {case['steps']['ott']['warmup_steps']:,} of its own"
            if "ott" in case["steps"]
            else ""
        )
        for case in cases
    )
    rates = "; ".join(
        f"{shape.replace('x', ' x ')}: {number(machine['one_thread_gflops'][shape])} and "
        f"{number(machine['all_threads_gflops'][shape])}"
        for shape in machine["one_thread_gflops"]
    )
    notice = ["**A quick run, at a tenth of the warm-up: not to be quoted.**", ""]
    parts = [
        *(notice if record["quick"] else []),
        f"{origin['device']}, {record['threads']} of {record['cores']} cores' threads, "
        f"{record['repetitions']} interleaved repetitions, {origin['started']}; "
        f"commit {origin['git_commit']}; Python {origin['python']}, {packages}. "
        "Numbers are medians, with the range over repetitions in brackets.",
        "",
        f"![Milliseconds a training step and a conjugation]({figure})",
        "",
        "### A training step",
        "",
        f"Regression and L-BFGS, one seed, batch {cases[0]['batch_size']:,}. Warm-up: {warm}.",
        "",
        steps_table(cases),
        "",
        "### A conjugation",
        "",
        f"{cases[0]['batch_size']:,} points, all started at x_tilde, on the same trained "
        "potential.",
        "",
        conjugations_table(cases),
        "",
        "### Operations of a training step of w2dual",
        "",
        f"Float32 products measured in the same run, GFLOP/s on one thread and on "
        f"{machine['threads']}: {rates}. The peak is the best of them, "
        f"{number(peak(machine))} GFLOP/s.",
        "",
        counts_table(cases),
    ]
    return "\n".join(parts)


def insert(document: str, generated: str, name: str, first: str = BEGIN, last: str = END) -> str:
    """Put the generated text between two lines of a document.

    Raises:
        InputError: the document lacks them, or has them in another order.
    """
    before, begin, rest = document.partition(first)
    _, end, after = rest.partition(last)
    if not (begin and end):
        raise InputError(
            f"{name}: lacks the lines between which the tables go; add\n  {first}\n  {last}"
        )
    return f"{before}{first}\n\n{generated}\n\n{last}{after}"


def draw(record: dict[str, Any], path: Path) -> None:
    """Draw milliseconds by case for each contestant, on a logarithmic scale."""
    cases = record["cases"]
    places = np.arange(len(cases))
    panels = (("steps", STEPS, "a training step"), ("conjugations", CONJUGATIONS, "a conjugation"))
    with style():
        matplotlib.rcParams["svg.hashsalt"] = "w2dual"
        matplotlib.rcParams["font.size"] = 8
        handles: dict[str, Any] = {}
        figure = Figure(figsize=(7.2, 0.8 + 0.42 * len(cases)), layout="constrained")
        for axes, (part, order, title) in zip(
            figure.subplots(1, 2, sharey=True), panels, strict=True
        ):
            shown = [name for name in order if any(name in case[part] for case in cases)]
            for i, name in enumerate(shown):
                there = [k for k, case in enumerate(cases) if name in case[part]]
                times = [cases[k][part][name]["ms"] for k in there]
                middle = np.array([item["median"] for item in times])
                errors = [
                    middle - [item["min"] for item in times],
                    np.array([item["max"] for item in times]) - middle,
                ]
                offset = (i - (len(shown) - 1) / 2) * 0.8 / max(len(shown), 1)
                colour, marker = MARKS[name]
                axes.errorbar(
                    middle,
                    places[there] + offset,
                    xerr=errors,
                    fmt=marker,
                    color=colour,
                    label=LABELS[name],
                    markersize=4,
                    elinewidth=1,
                )
            axes.set_xscale("log")
            axes.set_title(f"ms for {title}: median and range")
            axes.grid(axis="y", visible=False)
            for place in places[1:]:
                axes.axhline(place - 0.5, color="#dddddd", linewidth=0.5)
            axes.xaxis.set_major_formatter(FuncFormatter(lambda ms, _: f"{ms:,g}"))
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
                handles.setdefault(label, handle)
        axes.set_yticks(places, [f"n = {_name(case)}" for case in cases])
        axes.set_ylim(len(cases) - 0.5, -0.5)
        figure.legend(
            list(handles.values()),
            list(handles),
            loc="outside lower center",
            ncols=len(handles),
            frameon=False,
        )
        with atomic_path(path) as partial:
            metadata = {"Date": None} if path.suffix == ".svg" else {"Software": None}
            figure.savefig(partial, dpi=200, metadata=metadata)


def render(record_path: Path, document: Path, figure: Path) -> None:
    """Read the record, write the figure and the document's generated part.

    Raises:
        InputError: the record or the document cannot be used.
    """
    record = read_json(record_path)
    if not isinstance(record, dict) or record.get("format") != FORMAT or not record.get("cases"):
        raise InputError(f"{record_path}: is not a record of benchmarks.run of format {FORMAT}")
    if figure.suffix not in (".svg", ".png"):
        raise InputError(f"--figure {figure}: expected a .svg or a .png file")
    if document.is_file():
        old = document.read_text(encoding="utf-8")
    else:
        old = f"# Performance\n\n{BEGIN}\n{END}\n"
    new = insert(old, text(record, figure.name), str(document))
    draw(record, figure)
    write_text(document, new)


def main(argv: Sequence[str] | None = None) -> int:
    """Render; return the exit code: 0, or 2 where the input cannot be used."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.render", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("record", type=Path, help="written by benchmarks.run")
    parser.add_argument("--document", type=Path, default=DOCUMENT, help="[docs/performance.md]")
    parser.add_argument("--figure", type=Path, help=".svg or .png [next to the document, .svg]")
    args = parser.parse_args(argv)
    try:
        render(args.record, args.document, args.figure or args.document.with_suffix(".svg"))
    except InputError as error:
        sys.stderr.write(f"benchmarks.render: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
