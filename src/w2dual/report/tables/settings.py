"""The tables of hyperparameters, generated from the config that ran, with its own words on each.

Values come from the resolved config, a preset's changes included. Units, meaning and sources are
what the comments of config.yaml say at the same keys; nothing is typed here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from w2dual.config.assembly import hidden_widths
from w2dual.config.cells import needs
from w2dual.config.kinds import PARTS
from w2dual.config.names import method_words, words
from w2dual.config.reader import read
from w2dual.config.rows import OWN, methods, rows
from w2dual.config.systems import ADDITIONS, SYSTEMS
from w2dual.records import InputError
from w2dual.report.latex import Row, Span, booktabs, escape, fitted, footnotes, write_table

Keys = tuple[str, ...]
"""Keys that lead to a value of the config."""

TABLES: dict[str, tuple[str, ...]] = {
    f"hyperparameters_{section}": (section,)
    for section in ("hd", "baselines", "synthetic", "celeba64", *ADDITIONS)
}
"""Name of a table -> sections of the config, besides the methods and their parts that they use."""
HEIGHT = r".8\textheight"
"""A table may not be taller."""
LEFT_OUT = {
    ("hd", "measures"),
    ("hd", "seeds_per_job"),
    ("baselines", "measures"),
    ("baselines", "seeds_per_job"),
    ("synthetic", "grids"),  # shown one by one
    ("synthetic", "figures"),
    ("celeba64", "training", "seeds_at_once"),
    ("metric_recovery", "weights"),
    *((section, "logging") for section in SYSTEMS),
}
"""Keys that set no number of a result, or are shown elsewhere."""
AXES = ("dimensions", "generators", "pairs", "sets", "tasks")
"""Keys of a grid that say what measures its cells are of."""
PLAIN_FROM, PLAIN_TO = 1e-3, 1e6
"""Numbers outside are shown with a power of ten."""
_SOURCES = (
    *("paper", "w2ot", "benchmark", "ours", "optax", "OTT", "PyTorch", "enot"),
    *("meta-ot", "lagrangian-ot", "jaxopt", "NLSB", "Scarvelis and Solomon"),
)
"""What a source in a comment of the config may begin with."""
_SOURCE = re.compile(rf"\[((?:{'|'.join(_SOURCES)})[^\]]*)\]")
_COLUMNS = ("group", "setting", "value", "meaning", "source", "changed")


@dataclass(frozen=True)
class Comment:
    """What config.yaml says about a key: its meaning with the unit, and its sources."""

    meaning: str = ""
    source: str = ""

    @staticmethod
    def of(text: str) -> Comment:
        """Take a comment's bracketed sources out of its words."""
        sources = "; ".join(_SOURCE.findall(text))
        meaning = re.sub(r"\s+(?=[;,])|(?<=\s)\s+", "", _SOURCE.sub("", text)).strip(" ;")
        return Comment(meaning.replace("`", ""), sources)


def comments(text: str) -> dict[Keys, Comment]:
    """Read the comments of a YAML text by the keys they stand at.

    A comment behind a value belongs to its key. One behind a mapping or list that is written in one
    line belongs to that as a whole, not to its parts.
    """
    by_line = {
        number: Comment.of(match[1])
        for number, line in enumerate(text.splitlines())
        if (match := re.search(r"(?:^|\s)#\s?(.*)$", line)) and not line.lstrip().startswith("#")
    }
    found: dict[Keys, Comment] = {}

    def walk(node: yaml.Node, path: Keys, taken: frozenset[int]) -> None:
        pairs: list[tuple[str, yaml.Node, int]] = []
        if isinstance(node, yaml.MappingNode):
            pairs = [(key.value, value, key.start_mark.line) for key, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            pairs = [(str(i), item, item.start_mark.line) for i, item in enumerate(node.value)]
        for key, value, line in pairs:
            if line in by_line and line not in taken:
                found[(*path, key)] = by_line[line]
            in_one_line = taken | {line} if line in by_line else taken
            walk(value, (*path, key), in_one_line)

    walk(yaml.compose(text, Loader=yaml.SafeLoader), (), frozenset())
    return found


def rows_of(
    config: Mapping[str, Any], base: Mapping[str, Any], said: Mapping[Keys, Comment], table: str
) -> pd.DataFrame:
    """Return the rows of a table: group, setting, value, meaning, source, and if the preset set it.

    Args:
        config: the config that ran.
        base: config.yaml alone, which a preset changes.
        said: the comments of config.yaml.
        table: a key of `TABLES`.

    Raises:
        InputError: the config lacks a section of the table.
    """
    rows: list[dict[str, Any]] = []

    def comment_at(path: Keys) -> Comment:
        """What is said of a key; of a grid only where it is config.yaml's own of that number."""
        if path[1:2] == ("grids",) and _at(base, (*path[:3], "pairs")) != _at(
            config, (*path[:3], "pairs")
        ):
            return Comment()
        return said.get(path, Comment())

    def add(path: Keys, group: str) -> None:
        if path in LEFT_OUT:
            return
        value = _at(config, path)
        comment = comment_at(path)
        rows.append(
            {"group": group, "setting": path[-1].replace("_", " ")}
            | {"value": in_words(value, path, config), "meaning": comment.meaning}
            | {"source": comment.source, "changed": _at(base, path) != value}
        )

    def section(path: Keys, title: str) -> None:
        """A row for a mapping as a whole, then one for each of its values, then its mappings'."""
        found = _at(config, path)
        if found is None:
            raise InputError(f"the config has no section `{'.'.join(path)}`, which {table} shows")
        comment = comment_at(path)
        rows.append(
            {"group": title, "setting": "", "value": "", "meaning": comment.meaning}
            | {"source": comment.source, "changed": False}
        )
        for key in found:
            if key != "kind" and not isinstance(found[key], Mapping):
                add((*path, str(key)), title)
        for key in found:
            if not isinstance(found[key], Mapping) or (*path, key) in LEFT_OUT:
                continue
            if path[0] == "methods" and key in config[first]:  # in place of the section's own
                for name in found[key]:
                    add((*path, str(key), str(name)), title)
            else:
                section((*path, str(key)), _title(str(key)))

    first = TABLES[table][0]
    for name in TABLES[table]:
        section((name,), "Grid")
        for index in range(len(config[name].get("grids", []))):
            section((name, "grids", str(index)), f"Grid {index + 1}")
    used = _used(config, TABLES[table])
    for kind, name in used:
        alike = [other for _, other in used if words(other) == words(name)]
        title = {
            "potentials": f"Potential {words(name)}" + (f" ({name})" if len(alike) > 1 else ""),
            "amortization_model": "Amortization model",
            "methods": f"Method {words(name)}",
            "amortizations": f"Amortization loss {words(name)}",
            "solvers": f"Conjugate solver {words(name)}",
        }[kind]
        section((kind, name) if name else (kind,), title)
    return pd.DataFrame(rows, columns=list(_COLUMNS))


def _title(key: str) -> str:
    text = {"pretraining": "Pre-training"}.get(key, key.replace("_", " "))
    return text[:1].upper() + text[1:]


def _at(config: Any, path: Keys) -> Any:
    """Return the value at a path, or None where there is none."""
    for key in path:
        if isinstance(config, Mapping):
            config = config.get(key, config.get(int(key)) if key.isdecimal() else None)
        elif isinstance(config, Sequence) and not isinstance(config, str) and key.isdecimal():
            config = config[int(key)] if int(key) < len(config) else None
        else:
            return None
    return config


def _used(config: Mapping[str, Any], sections: Sequence[str]) -> list[tuple[str, str]]:
    """Return the methods, networks, losses and solvers of a section's grids, each once."""
    found: dict[tuple[str, str], None] = {}
    for name in sections:
        own = "amortization_model" in config[name]
        for grid in config[name].get("grids", [config[name]]):
            for potential in grid.get("potentials", []):
                found["potentials", potential] = None
            for row in rows(config, {"methods": [], "potentials": []} | grid):
                if row.method:
                    found["methods", row.method] = None
                brought = own or "amortization_model" in config["methods"].get(row.method, {})
                if "amortization_model" in needs(row.kind) and not brought:
                    found["amortization_model", ""] = None
                for potential in row.potentials:
                    found["potentials", potential] = None
                for part, used in row.parts.items():
                    # Else the section has the losses' settings.
                    if part != "amortization" or "cycle_weight" not in config[name]:
                        found[PARTS[part], used] = None
    order = ("methods", "potentials", "amortization_model", "amortizations", "solvers")
    found.pop(("potentials", OWN), None)
    named = [item for item in found if item[1] != "none"]
    return sorted(named, key=lambda item: order.index(item[0]))


def in_words(value: Any, path: Keys, config: Mapping[str, Any]) -> str:
    """Return a value of the config as people read it."""
    if path[-1] == "hidden" and value == "paper":
        grid = "baselines" if path[0] == "methods" else path[0]  # the grid that methods are rows of
        return _widths(config[grid]["dimensions"])
    if value == "dimension":
        return "the dimension n"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "–"
    if isinstance(value, int | float):
        return number(value)
    if isinstance(value, list):
        if value and all(isinstance(item, Mapping) for item in value):
            return "; ".join(
                words("-".join(item.values()))
                if "method" in item
                else method_words(item["amortization"], item["solver"])
                if {"amortization", "solver"} <= item.keys()
                else ", ".join(f"{key} {in_words(item[key], (key,), config)}" for key in item)
                for item in value
            )
        if _consecutive(value):
            return f"{value[0]}, …, {value[-1]}"
        return ", ".join(in_words(item, (*path, str(i)), config) for i, item in enumerate(value))
    return words(str(value))


def _consecutive(value: Sequence[Any]) -> bool:
    whole = all(isinstance(item, int) for item in value)
    return whole and len(value) > 2 and list(value) == list(range(value[0], value[-1] + 1))


def _widths(dimensions: Sequence[int]) -> str:
    """Resolve the paper's widths, for dimensions with the same ones together."""
    alike: dict[tuple[int, ...], list[int]] = {}
    for n in dimensions:
        alike.setdefault(tuple(hidden_widths("paper", n)), []).append(n)
    return "; ".join(
        ", ".join(map(str, widths)) + f" for n = {', '.join(map(str, found))}"
        for widths, found in alike.items()
    )


def number(value: float) -> str:
    """Return a number without loss of digits that matter: 1,024; 0.5; 5e-4 as 5 × 10^-4."""
    size = abs(value)
    if isinstance(value, int) or (float(value).is_integer() and size < PLAIN_TO):
        return f"{int(value):,}"
    if PLAIN_FROM <= size < PLAIN_TO:
        return f"{value:g}"
    digits, power = f"{value:.3e}".split("e")
    return f"{float(digits):g} × 10^{int(power)}"


def tex_of(frame: pd.DataFrame, table: str, config: Mapping[str, Any]) -> str:
    """Render a table: a block for each group, and notes on where its columns come from."""
    rows: list[Row] = []
    for line in frame.to_dict("records"):
        meaning = escape(line["meaning"])
        mark = r"$^{\dagger}$" if line["changed"] else ""
        value = re.sub(r"\\textasciicircum\{\}((?:-\{\})?\d+)", _power, escape(line["value"]))
        source = re.sub(r"(/|\\_)", r"\1\\allowbreak{}", escape(line["source"]))
        if line["setting"]:
            rows.append(Row([escape(line["setting"]) + mark, value, meaning, source]))
        else:
            group = Span(rf"\textit{{{escape(line['group'])}}}{mark}", 2)
            rows.append(Row([group, meaning, source], above=r"\midrule" if rows else ""))
    heads = ["Setting", "Value", "Unit and meaning", "Source"]
    ragged = r">{\raggedright\arraybackslash}p"
    align = rf"l{ragged}{{50mm}}{ragged}{{56mm}}{ragged}{{38mm}}"
    # It is to fit a page, with its notes and, in the report, a heading and a caption.
    small = fitted(booktabs(heads, rows, align), "scriptsize", HEIGHT)
    return small + footnotes(_notes(frame, table, config))


def _power(found: re.Match[str]) -> str:
    return f"$^{{{found[1].replace('{}', '')}}}$"


def has_cells(section: Mapping[str, Any]) -> bool:
    """Return whether the grids of a section have any cells: none of their axes is empty."""
    if "grids" in section:
        return any(has_cells(grid) for grid in section["grids"])
    axes = [section[axis] for axis in AXES if axis in section]
    return all([*axes, methods(section)])


def _notes(frame: pd.DataFrame, table: str, config: Mapping[str, Any]) -> list[str]:
    preset = config["preset"]
    notes = [
        "Values: the config that these tables and figures were made with. Meaning and source: the "
        "comments of config.yaml. paper: section, table or appendix of the paper; w2ot: file of "
        "the published configuration; benchmark: Korotin et al.\\ (2021); "
        "meta-ot: file of the published code of Meta OT; ours: no source."
    ]
    if frame["changed"].any():
        notes.append(
            r"$^{\dagger}$: set by the preset, and not what config.yaml has: its source is that of "
            "the setting, not of this value."
        )
    if not any(has_cells(config[name]) for name in TABLES[table]):
        notes.append(r"\textbf{These settings have no cells in this preset.}")
    if preset["reduced"]:
        notes.append(
            rf"\textbf{{Reduced budget}}: preset {escape(preset['name'])} "
            rf"({escape(preset['label'])})."
        )
    return notes


def write(name: str, config: Mapping[str, Any], base: Path, tex: Path, csv: Path) -> None:
    """Write one table, and the same as tidy rows.

    Args:
        name: of the table, a key of `TABLES`.
        config: that ran.
        base: config.yaml, with its comments.
        tex: table to write.
        csv: numbers to write.

    Raises:
        InputError: a config cannot be used; nothing is written then.
    """
    said = comments(base.read_text(encoding="utf-8"))
    frame = rows_of(config, read([base]), said, name)
    text = tex_of(frame, name, config)
    tidy = frame.assign(preset=config["preset"]["name"], reduced=config["preset"]["reduced"])
    write_table(tex, text, csv, tidy)
