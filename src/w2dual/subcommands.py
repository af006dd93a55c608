"""The subcommands of `python -m w2dual`, as data: what each is for, and which of them render.

A job is a module of `w2dual.jobs` whose docstring begins "The job `NAME`:", and what follows in
that line is its summary. One that makes tables or figures has a line `WRITES = (...)`, and maybe
`COMPUTES = True`. They are read from the text: nothing is imported, so that `--help` is quick, and
so that whoever runs the commands of an archive can tell which may be run.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Job:
    """A subcommand.

    Attributes:
        summary: for the help.
        writes: options of a job that makes tables or figures: each names a file that it writes. It
            reads the files that its other options name, writes no others, and starts no program.
            Such a job alone may be named by an archive that comes from anybody, so a new one
            renders only where it says so.
        computes: what it renders is computed from measures or networks, to no certain last bit.
    """

    summary: str
    writes: tuple[str, ...] = ()
    computes: bool = False

    @property
    def renders(self) -> bool:
        """Whether it makes tables or figures."""
        return bool(self.writes)

    @property
    def exact(self) -> bool:
        """Whether it makes text that follows from text: the same bytes on any machine."""
        return self.renders and set(self.writes) <= TEXT and not self.computes


TEXT = frozenset({"--csv", "--html", "--out", "--tex"})
FOLDER = Path(__file__).parent / "jobs"
_BEGINS = re.compile(r'"""The job `([\w-]+)`: (.+?)(?:"""|$)', re.MULTILINE)
_SAYS = re.compile(r"^(WRITES|COMPUTES) = (.+)$", re.MULTILINE)


def found(folder: Path) -> dict[str, Job]:
    """Return the jobs of a folder of modules: those that render come last, else by name."""
    jobs: dict[str, Job] = {}
    for path in folder.glob("*.py"):
        text = path.read_text(encoding="utf-8")
        if begins := _BEGINS.match(text):
            name, summary = begins.groups()
            says: dict[str, Any] = {m[1]: ast.literal_eval(m[2]) for m in _SAYS.finditer(text)}
            # An ellipsis stays.
            summary = summary if summary.endswith("...") else summary.removesuffix(".")
            jobs[name] = Job(summary, says.get("WRITES", ()), says.get("COMPUTES", False))
    return dict(sorted(jobs.items(), key=lambda item: (item[1].renders, item[0])))


JOBS = found(FOLDER)
