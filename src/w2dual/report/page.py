"""A tidy table as a page for the report: readable in a browser without a network, and on a phone.

What is the same in every row stands once below the table; a tidy file with a value for each
dimension has its dimensions as columns. A field shows four digits, and all of them when pointed at.
Nothing is left out in silence: a column that is not shown is named.
"""

from __future__ import annotations

import csv
import logging
import math
import re
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import jinja2

from w2dual.records import InputError, write_text

log = logging.getLogger(__name__)

Rows = list[dict[str, str]]

DIGITS = 4
ACROSS = "dimension"
"""Where a table has a value of each row for several of these, they become columns."""
VALUES = ("mean", "value")
"""The columns that may be what such a table is about, the first that is there."""
SPREAD = "std"
PUBLISHED = {VALUES[0]: "published_mean", SPREAD: "published_std"}
"""The paper's own numbers for a row, which get a row of theirs."""
DIVERGED = ("above_limit", "published_diverged")
"""Flags of a mean, and of a published one, that is no longer a number."""
NO_NUMBER = "diverged"
COUNTS = ("diverged_seeds", "seeds")
"""How many of a row's seeds have diverged, which its field says where there are any."""
KEYS = ("source", "name", "potential", "amortization", "solver", "quantity", "map", "pair")
"""What tells the rows of such a table apart."""
FIRST = ("claim", *KEYS[1:], ACROSS, "verdict", "reason")
"""Columns that come before all others, where a table is shown row by row."""
LONG = 24
"""Characters above which a field is a sentence, which asks for width."""
WORDS = {
    "reproduced": "good",
    "holds": "good",
    "better": "good",
    "diverged as published": "good",
    "worse": "bad",
    "fails": "bad",
    "mixed": "none",
    "missing": "none",
    "inconclusive": "none",
}
"""Words that have a colour of their own, in addition to the text."""


class Column(NamedTuple):
    """A column as it is shown: its head, and the class of its fields."""

    title: str
    kind: str


class Field(NamedTuple):
    """A field as it is shown: its text, all of it where that is shortened, and its class."""

    shown: str
    whole: str
    kind: str


def page(name: str, text: str) -> str:
    """Set a tidy CSV as a page.

    Args:
        name: of the table.
        text: of the CSV file, with a header.

    Returns:
        HTML that needs no other file.

    Raises:
        InputError: the file has no header, or a row has not as many fields as the header.
    """
    header, rows = _read(name, text)
    if not rows:  # all of what it would tell of has diverged
        heads = [Column(_title(name), "") for name in header]
        return _rendered(name, heads, [], "The table has no rows.")
    columns = [c for c in rows[0] if any(row[c] for row in rows)]
    columns.sort(key=lambda c: FIRST.index(c) if c in FIRST else len(FIRST))
    if _is_wide(rows, columns):
        columns, rows, same = _across(rows, columns)
    else:
        columns, same = _same_everywhere(rows, columns)
    heads = [Column(_title(c), _class(rows, c)) for c in columns]
    fields = [
        [_field(row[c], head.kind) for c, head in zip(columns, heads, strict=True)] for row in rows
    ]
    notes = "; ".join(f"{_title(c)}: {value}" for c, value in same.items())
    return _rendered(name, heads, fields, f"In every row: {notes}." if notes else "")


def _rendered(
    name: str, columns: Sequence[Column], rows: Sequence[Sequence[Field]], note: str
) -> str:
    environment = jinja2.Environment(
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )
    source = files("w2dual.report").joinpath("templates/table.html").read_text(encoding="utf-8")
    template = environment.from_string(source)
    return template.render(name=name, title=_title(name), columns=columns, rows=rows, note=note)


def _read(name: str, text: str) -> tuple[list[str], Rows]:
    table = list(csv.reader(text.splitlines(keepends=True)))
    if not table:
        raise InputError(f"{name}: the file is empty; expected a header")
    header, *fields = table
    for number, row in enumerate(fields, 2):
        if len(row) != len(header):
            raise InputError(
                f"{name}, row {number}: {len(row)} fields, expected {len(header)} as in the header"
            )
    return header, [dict(zip(header, row, strict=True)) for row in fields]


def _same_everywhere(rows: Rows, columns: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Split columns in those that differ, and those with one value in all of several rows."""
    same = {c: rows[0][c] for c in columns if len(rows) > 1 and len({row[c] for row in rows}) == 1}
    return [c for c in columns if c not in same], same


def _is_wide(rows: Rows, columns: Sequence[str]) -> bool:
    """Whether each row is told apart by its keys and its dimension, and has one value."""
    if ACROSS not in columns or not set(VALUES) & set(columns):
        return False
    places = {tuple(row.get(key, "") for key in (*KEYS, ACROSS)) for row in rows}
    return len(places) == len(rows)


def _across(rows: Rows, columns: Sequence[str]) -> tuple[list[str], Rows, dict[str, str]]:
    """Set dimensions side by side; what is neither key nor value is said below."""
    value = next(name for name in VALUES if name in columns)
    shown = {value, SPREAD, ACROSS, *PUBLISHED.values(), *DIVERGED, *KEYS, COUNTS[0]}
    same = {c: _summary(rows, c) for c in columns if c not in shown}
    if set(PUBLISHED.values()) <= set(rows[0]):
        rows = [row for own in rows for row in (own, *_published(own))]
    keys, same_keys = _same_everywhere(rows, [key for key in KEYS if key in columns])
    dimensions = sorted({int(row[ACROSS]) for row in rows})
    found: dict[tuple[str, ...], dict[str, str]] = {}
    for row in rows:
        line = found.setdefault(
            tuple(row[key] for key in keys),
            {key: row[key] for key in keys} | {_dimension(n): "" for n in dimensions},
        )
        line[_dimension(int(row[ACROSS]))] = _value_of(row, value)
    return [*keys, *map(_dimension, dimensions)], list(found.values()), same_keys | same


def _summary(rows: Rows, column: str) -> str:
    """Say what a column holds that is not shown: one value, one for each dimension, or many.

    Rows that have none do not count: a quoted number was not trained here.
    """
    found: dict[str, set[int]] = {}
    for row in rows:
        if row[column]:
            found.setdefault(row[column], set()).add(int(row[ACROSS]))
    if len(found) == 1:
        return next(iter(found))
    if sum(map(len, found.values())) == len(set().union(*found.values())):
        return ", ".join(f"{v} (n = {', '.join(map(str, sorted(at)))})" for v, at in found.items())
    return "differs, see the table's CSV"


def _published(row: dict[str, str]) -> Rows:
    """Return the row of the paper's numbers, if a row has any next to its own."""
    flag, published_flag = DIVERGED
    if not row[PUBLISHED[VALUES[0]]] and row.get(published_flag) != "True":
        return []
    numbers = {own: row[theirs] for own, theirs in PUBLISHED.items()}
    more = {"source": "published", flag: row.get(published_flag, ""), COUNTS[0]: ""}
    return [row | numbers | more]


def _dimension(n: int) -> str:
    return f"n = {n}"


def _value_of(row: dict[str, str], value: str) -> str:
    """Return a row's value, with its spread, and with how many of its seeds have diverged."""
    number = _number(row[value])
    failed = row.get(DIVERGED[0]) == "True" and (number is None or not math.isfinite(number))
    spread = row.get(SPREAD, "")
    text = NO_NUMBER if failed else row[value] + (f" ± {spread}" if spread else "")
    diverged, seeds = (row.get(name, "") for name in COUNTS)
    if diverged in ("", "0"):
        return text
    return f"{text} ({diverged} of {seeds} seeds{'' if failed else ' diverged'})"


def _title(name: str) -> str:
    return name.replace("_", " ")


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _parts(text: str) -> list[str]:
    """Split a field in its value, its spread and what is said of it."""
    return re.split(r"( ± | \(.*\)$)", text)


def _rounded(text: str) -> str:
    """Shorten a number to some digits; leave whole numbers and everything else as they are."""
    number = _number(text)
    if number is None or not math.isfinite(number) or text.lstrip("-").isdigit():
        return text
    return f"{number:.{DIGITS}g}"


def _class(rows: Rows, column: str) -> str:
    """Return the class of a column's fields: numbers stand at the right, sentences have room."""
    fields = [row[column] for row in rows if row[column]]
    values = [_parts(field)[0] for field in fields]
    if values and all(_number(value) is not None or value == NO_NUMBER for value in values):
        return "number"
    return "sentence" if max(map(len, fields), default=0) > LONG else ""


def _field(text: str, of_column: str) -> Field:
    parts = _parts(text)
    short = [_rounded(part) for part in parts]
    exact = all(_number(a) == _number(b) for a, b in zip(short, parts, strict=True))
    return Field("".join(short), "" if exact else text, WORDS.get(text, of_column))


def write(csv: Path, html: Path) -> None:
    """Write a tidy table as a page.

    Raises:
        InputError: the table cannot be used; nothing is written then.
    """
    write_text(html, page(csv.stem, csv.read_text(encoding="utf-8")))
    log.info("%s: written", html)
