"""What `line-search` and `wolfe-vs-armijo` found, as tables.

`lbfgs_line_search` has a row for each line search; `wolfe_vs_armijo` the milliseconds of some
iterations for each cell, and the factor between them. Both as LaTeX, and tidy as CSV.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from w2dual.config.names import made_here, method_words, words
from w2dual.records import InputError, read_json
from w2dual.report.latex import Row, booktabs, escape, fitted, footnotes, write_table

FORMAT = 2
SIZES = ("median", "min", "max")
COLUMNS = (
    "cell",
    "potential",
    "dimension",
    "row",
    "words",
    *(f"runtime_ms_{name}" for name in SIZES),
    "repetitions",
    "calls",
    "compile_s",
    "iterations_mean",
    "iterations_max",
    "gradient_norm_median",
    "gradient_norm_max",
    "converged_percent",
    "excess_mean",
    "factor",
    "points",
    "gradient_tolerance",
    "preset",
    "reduced",
    "device",
    "threads",
    "ended",
    "git_commit",
)
WOLFE_LABELS = {
    "jax_zoom": "Strong Wolfe (JAX)",
    "ours_parallel": "Armijo, parallel (ours)",
    "ours_sequential": "Armijo, backtracking (ours)",
}


def read(path: Path, study: str) -> dict[str, Any]:
    """Read the record of one study.

    Raises:
        InputError: the file is missing, unreadable or of something else.
    """
    record = read_json(path)
    if not isinstance(record, dict) or (record.get("format"), record.get("study")) != (
        FORMAT,
        study,
    ):
        raise InputError(f"{path}: holds no study {study!r} of format {FORMAT}")
    return record


def tidy(record: Mapping[str, Any]) -> pd.DataFrame:
    """Return a row for each (cell, row of the comparison); none for a cell that diverged."""
    settings, made = record["settings"], record["provenance"]
    rows = []
    for entry in record["cells"]:
        cell, found = entry["cell"], {row["name"]: row for row in entry["rows"]}
        for row in found.values():
            # The first row: ours in parallel unless the config says otherwise; or strong Wolfe.
            reference = entry["rows"][0]["runtime_ms"]["median"]
            own = row["runtime_ms"]["median"]
            rows.append(
                {
                    "cell": cell["name"],
                    "potential": cell["potential"],
                    "dimension": cell["dimension"],
                    "row": row["name"],
                    **{f"runtime_ms_{name}": row["runtime_ms"][name] for name in SIZES},
                    **{name: row[name] for name in COLUMNS if name in row},
                    "factor": own / reference
                    if record["study"] == "line-search"
                    else reference / own,
                    "points": settings["points"],
                    "gradient_tolerance": settings["lbfgs"]["gradient_tolerance"],
                    "preset": entry["preset"]["name"],
                    "reduced": entry["preset"]["reduced"],
                    "device": made["device"],
                    "threads": record["threads"],
                    "ended": made["ended"],
                    "git_commit": made["git_commit"],
                }
            )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def line_search_tex(record: Mapping[str, Any]) -> str:
    """Render the comparison of line searches; the fastest row is bold."""
    frame, settings = tidy(record), record["settings"]
    heads = ["L-BFGS", "Runtime (ms)", "min--max", "Turns", r"\#Iter"]
    heads += [r"$\max|\nabla J|$, median", "max", r"Conv.\ (\%)", "$J$ excess", "Factor"]
    fastest = frame["runtime_ms_median"].min()
    rows: list[Row] = []
    for row in frame.to_dict("records"):
        rows.append(
            Row(
                [
                    escape(row["words"]),
                    _digits(row["runtime_ms_median"]),
                    f"{_digits(row['runtime_ms_min'])}--{_digits(row['runtime_ms_max'])}",
                    str(row["repetitions"]),
                    f"{row['iterations_mean']:.2f}",
                    _small(row["gradient_norm_median"]),
                    _small(row["gradient_norm_max"]),
                    f"{row['converged_percent']:.1f}",
                    _small(row["excess_mean"]),
                    f"{row['factor']:.2g}" if row["factor"] < 99.5 else f"{row['factor']:,.0f}",
                ],
                bold={1} if row["runtime_ms_median"] == fastest else (),
            )
        )
    tolerance = settings["lbfgs"]["gradient_tolerance"]
    notes = [
        f"Runtime of conjugating {settings['points']:,} points together, warm started at "
        rf"$\tilde x(y)$, until $\max|\nabla J|<{tolerance:g}$ or "
        f"{settings['lbfgs']['max_iterations']} iterations; at most {settings['trials']} trial "
        r"steps. Median and range over turns that the rows take one after the other. Factor: "
        r"runtime / that of the first row. \#Iter: mean over points (optimistix counts trial "
        r"steps). $J$ excess: mean of $J$ above the lowest that any row found for the point. "
        "Libraries' solvers are mapped over points by vmap, ours by its own driver."
    ]
    few = set(frame["repetitions"]) - {settings["repetitions"]}
    if 1 in few:
        notes.append(
            f"Turns 1: the first call took over {settings['slow_s']:g} s, and stands for all."
        )
    if few - {1}:
        notes.append(f"Fewer turns: of a row whose calls take over {record['long_call_s']:g} s.")
    return _set(heads, rows, "l" + "r" * (len(heads) - 1), notes, record)


def wolfe_vs_armijo_tex(record: Mapping[str, Any]) -> str:
    """Render the milliseconds of the same number of iterations, for each cell."""
    frame, settings = tidy(record), record["settings"]
    cells = [entry["cell"] for entry in record["cells"]]
    potentials = list(dict.fromkeys(cell["potential"] for cell in cells))
    dimensions = sorted({cell["dimension"] for cell in cells})
    rows: list[Row] = []
    for number, potential in enumerate(potentials):
        here = frame[frame["potential"] == potential]
        for place, (name, label) in enumerate(WOLFE_LABELS.items()):
            mine = here[here["row"] == name].set_index("dimension")
            row = [escape(words(potential)) if not place else "", label]
            for n in dimensions:
                if n not in mine.index:
                    row += ["--"] * 4
                    continue
                ms, factor = mine.at[n, "runtime_ms_median"], mine.at[n, "factor"]
                row += [
                    _digits(float(ms)),
                    f"{mine.at[n, 'iterations_mean']:.1f}",
                    _small(float(mine.at[n, "excess_mean"])),
                    "" if name == "jax_zoom" else f"{factor:.1f}",
                ]
            rows.append(Row(row, above=r"\midrule" if number and not place else ""))
    heads = ["Potential", "Line search"]
    for n in dimensions:
        heads += [f"$n={n}$ (ms)", r"\#Iter", "$J$ excess", "Factor"]
    notes = [
        f"Runtime of {settings['iterations']} iterations of L-BFGS from $y$ on "
        f"{settings['points']:,} points together, whatever the gradient; a point whose objective "
        "no longer decreases, or whose line search fails, stops before. Median over turns. Factor: "
        r"runtime of strong Wolfe / that of the row. \#Iter: mean over points. $J$ excess: mean of "
        "$J$ above the lowest that any row found for the point."
    ]
    align = "ll" + "r" * (len(heads) - 2)
    return _set(heads, rows, align, notes, record)


def _set(
    heads: list[str],
    rows: list[Row],
    align: str,
    notes: list[str],
    record: Mapping[str, Any],
) -> str:
    made, threads = record["provenance"], record["threads"]
    entry, cells = record["cells"][0], [entry["cell"] for entry in record["cells"]]
    diverged = [entry["cell"]["name"] for entry in record["cells"] if entry["seed"] is None]
    method = method_words(cells[0]["amortization"], cells[0]["solver"])
    potentials = ", ".join(dict.fromkeys(words(cell["potential"]) for cell in cells))
    dimensions = ", ".join(str(n) for n in sorted({cell["dimension"] for cell in cells}))
    device = made["device"]
    if threads and device.startswith("CPU"):
        device += f", {threads} thread" + ("s" if threads > 1 else "")
    notes.append(
        f"Cells trained by {escape(method)}: {escape(potentials)}, $n={dimensions}$, the first "
        f"seed that has not diverged. Device: {escape(device)}."
    )
    if diverged:
        notes.append(
            f"All seeds diverged, so that nothing was timed: {escape(', '.join(diverged))}."
        )
    if entry["preset"]["reduced"]:
        preset = entry["preset"]
        notes.append(
            rf"\textbf{{Reduced budget}}: preset {escape(preset['name'])} "
            f"({escape(preset['label'])}); the potential is trained little."
        )
    sources = made_here(entry["measures_source"] for entry in record["cells"])
    if sources:
        notes.append(f"{sources[0].upper()}{sources[1:]}.")
    body = booktabs(heads, rows, align) if rows else ""
    return (fitted(body) if body else "") + footnotes(notes)


def _digits(milliseconds: float) -> str:
    """Three digits, and none behind the point from 100 on."""
    if milliseconds >= 100:
        return f"{milliseconds:,.0f}"
    return f"{milliseconds:.{1 if milliseconds >= 10 else 2}f}"


def _small(number: float) -> str:
    if number is None or not math.isfinite(number):
        return "--"
    if number == 0 or 1e-3 <= abs(number) < 1e3:
        return f"{number:.3g}"
    mantissa, exponent = f"{number:.1e}".split("e")
    return rf"${mantissa}\cdot10^{{{int(exponent)}}}$"


RENDERERS = {"line-search": line_search_tex, "wolfe-vs-armijo": wolfe_vs_armijo_tex}


def write(study: str, path: Path, tex: Path, csv: Path) -> None:
    """Write the table of a study, and its numbers.

    Args:
        study: a key of `RENDERERS`.
        path: .json of the study.
        tex: table to write.
        csv: numbers to write.

    Raises:
        InputError: the record cannot be used; nothing is written then.
    """
    record = read(path, study)
    text, frame = RENDERERS[study](record), tidy(record)
    write_table(tex, text, csv, frame)
