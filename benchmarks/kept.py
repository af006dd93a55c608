"""Kept records of trained cells, and a document whose tables are rendered from them.

A record is CELL.json, metrics.json of a run without the host's name, and CELL.csv, the errors of
its history. It is never typed in: what a document says of a cell is computed from its record.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.render import insert
from w2dual.archive import scrub
from w2dual.archive.scrub import Machine
from w2dual.records import InputError, read_json, write_json, write_text
from w2dual.results.summary import METRIC

ROOT = Path(__file__).parents[1]
INVERSE = "l2_uvp_inverse_percent"
COLUMNS = ("seed", "step", METRIC, INVERSE)


def any_record(record: Mapping[str, Any]) -> None:
    """Admit whatever was trained."""


@dataclass(frozen=True, kw_only=True)
class Collection:
    """Records that are compared in one document.

    Attributes:
        name: of the module that renders them, `python -m benchmarks.NAME`.
        about: in a line, for its help.
        records: folder of them.
        document: with the tables between two markers.
        begin, end: the markers.
        text: from a folder of records to what stands between.
        more: other commands: name -> help, and what it prints.
        admit: raises InputError for a record that must not be kept in `records` itself; folders
            below it, and others, are free.
    """

    name: str
    about: str
    records: Path
    document: Path
    begin: str
    end: str
    text: Callable[[Path], str]
    more: Mapping[str, tuple[str, Callable[[], str]]] = field(default_factory=dict)
    admit: Callable[[Mapping[str, Any]], None] = any_record

    def written(self, document: Path, records: Path) -> str:
        """Return a document's text with the tables of the records between its markers.

        Raises:
            InputError: a marker is missing, or there are no records.
        """
        old = document.read_text(encoding="utf-8")
        return insert(old, self.text(records), str(document), self.begin, self.end)

    def main(self, argv: Sequence[str] | None = None) -> int:
        """Run one of the commands; return the exit code."""
        parser = argparse.ArgumentParser(description=self.about)
        commands = parser.add_subparsers(dest="command", required=True)
        keeping = commands.add_parser("keep", help="copy the finished cells of a run")
        keeping.add_argument("run", type=Path)
        keeping.add_argument("--into", type=Path, default=self.records)
        keeping.add_argument("--tree", help="commit that was trained, if the run could not know")
        for command, (said, _) in self.more.items():
            commands.add_parser(command, help=said)
        rendering = commands.add_parser("render", help="write the tables of the document")
        rendering.add_argument("--records", type=Path, default=self.records)
        rendering.add_argument("--document", type=Path, default=self.document)
        args = parser.parse_args(argv)
        try:
            if args.command == "keep":
                own = args.into.resolve() == self.records.resolve()
                names = keep(args.run, args.into, args.tree, self.admit if own else any_record)
                sys.stdout.write("".join(f"{name}\n" for name in names))
            elif args.command == "render":
                write_text(args.document, self.written(args.document, args.records))
            else:
                sys.stdout.write(self.more[args.command][1]())
        except InputError as error:
            sys.stderr.write(f"{self.name}: {error}\n")
            return 2
        return 0


def keep(
    run: Path,
    into: Path,
    tree: str | None = None,
    admit: Callable[[Mapping[str, Any]], None] = any_record,
) -> list[str]:
    """Copy the finished cells of a run; return the names of those that were copied.

    A record of more seeds stays. All cells are checked before the first is copied.

    Args:
        run: folder that holds CELL/metrics.json and CELL/history.csv.
        into: folder of the records, CELL.json and CELL.csv.
        tree: commit whose files the run had, where it had no repository to ask.
        admit: raises InputError for a record that must not be kept.

    Raises:
        InputError: there is no finished cell, or one must not be kept.
    """
    found = sorted(run.glob("*/metrics.json"))
    if not found:
        raise InputError(f"{run}: holds no CELL/metrics.json; expected a run's results/train")
    records = {path: scrub.record(read_json(path), Machine.here([ROOT])) for path in found}
    for path, record in records.items():
        try:
            admit(record)
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
    kept = []
    for path, record in records.items():
        name = record["cell"]["name"]
        before = into / f"{name}.json"
        if before.exists() and len(read_json(before)["seeds"]) > len(record["seeds"]):
            continue
        kept.append(name)
        if tree is not None:
            record["provenance"] |= {"git_commit": tree}
        write_json(into / f"{name}.json", record)
        write_text(into / f"{name}.csv", _history(path.with_name("history.csv")))
    return kept


def _history(path: Path) -> str:
    """Return the errors of a history, to six digits."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    with path.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            errors = (f"{float(row[name]):.6g}" if row[name] else "" for name in COLUMNS[2:])
            writer.writerow([row["seed"], row["step"], *errors])
    return text.getvalue()


def paths(folder: Path) -> list[Path]:
    """Return the records of a folder.

    Raises:
        InputError: there is none.
    """
    found = sorted(folder.glob("*.json"))
    if not found:
        raise InputError(f"{folder}: holds no records; `keep` puts them there")
    return found


def origin(records: Iterable[Mapping[str, Any]]) -> str:
    """Return a sentence: on which devices records were trained, and from which commits."""
    made = [record["provenance"] for record in records]
    devices, commits = (sorted({one[key] for one in made}) for key in ("device", "git_commit"))
    return f"Trained on {'; '.join(devices)}; commit {', '.join(commits)}."
