"""Text made safe for LaTeX, tables as booktabs, and LaTeX made into PDF."""

from __future__ import annotations

import logging
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from w2dual.records import InputError, atomic_path

log = logging.getLogger(__name__)

DEBIAN_PACKAGES = ("latexmk", "texlive-latex-base", "texlive-latex-recommended", "lmodern")
TIMEOUT_S = 300.0

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "'": "'",
    "`": r"\textasciigrave{}",
    "-": "-{}",  # no ligature: two hyphens stay two hyphens
    "\n": " ",
    "\t": " ",
    "±": r"\ensuremath{\pm}",
    "×": r"\ensuremath{\times}",
    "≤": r"\ensuremath{\le}",
    "≥": r"\ensuremath{\ge}",
    "→": r"\ensuremath{\to}",
    "α": r"\ensuremath{\alpha}",
    "β": r"\ensuremath{\beta}",
    "–": "--",
    "—": "---",
    "‘": "`",
    "’": "'",
    "“": "``",
    "”": "''",
    "…": r"\dots{}",
}


def escape(text: object) -> str:
    """Return text that LaTeX prints as it stands.

    Letters beyond Latin-1, which the document's fonts lack, are printed as a boxed question mark.
    """
    return "".join(_escape_character(character) for character in str(text))


def _escape_character(character: str) -> str:
    if character in _SPECIAL:
        return _SPECIAL[character]
    code = ord(character)
    if 0x20 <= code < 0x7F or 0xC0 <= code <= 0xFF:
        return character
    return r"\fbox{?}"


@dataclass(frozen=True)
class Span:
    """A field that spans several columns, from the left.

    Attributes:
        text: ready LaTeX.
        columns: their number.
    """

    text: str
    columns: int

    def __str__(self) -> str:
        """Return the field as LaTeX."""
        return rf"\multicolumn{{{self.columns}}}{{l}}{{{self.text}}}"


@dataclass(frozen=True)
class Row:
    r"""A row of a table.

    Attributes:
        fields: ready LaTeX.
        bold: numbers of the fields that are bold, from 0.
        above: a command of LaTeX before the row, such as `\midrule`.
    """

    fields: Sequence[str | Span]
    bold: Collection[int] = ()
    above: str = ""

    @property
    def columns(self) -> int:
        """How many columns it has."""
        return sum(field.columns if isinstance(field, Span) else 1 for field in self.fields)

    def __str__(self) -> str:
        """Return the row as LaTeX."""
        shown = [
            rf"\textbf{{{field}}}" if number in self.bold else str(field)
            for number, field in enumerate(self.fields)
        ]
        before = f"{self.above} " if self.above else ""
        return before + " & ".join(shown) + r" \\"


def booktabs(heads: Sequence[str], rows: Sequence[Row], align: str) -> str:
    """Render ready LaTeX strings as a booktabs tabular.

    Raises:
        ValueError: a row has not as many columns as there are heads.
    """
    if wrong := [str(row) for row in rows if row.columns != len(heads)]:
        raise ValueError(f"expected {len(heads)} columns: {wrong[0]}")
    lines = [
        rf"\begin{{tabular}}{{{align}}}",
        r"\toprule",
        str(Row(heads)),
        r"\midrule",
        *map(str, rows),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def fitted(tabular: str, size: str = "footnotesize", height: str = "") -> str:
    """Set a tabular in a size, and shrink it only where it is wider than the line.

    Args:
        tabular: ready LaTeX.
        size: of the text.
        height: a length that it may not be taller than, else it is shrunk too; empty for none.
    """
    if height:
        tall = f"\\ifdim\\dimexpr\\ht0+\\dp0\\relax>{height}"
        tall += f"\\sbox0{{\\resizebox*{{!}}{{{height}}}{{\\usebox0}}}}\\fi%\n"
    else:
        tall = ""
    return (
        f"\\begingroup\\{size}\\setlength{{\\tabcolsep}}{{4pt}}%\n"
        f"\\sbox0{{%\n{tabular.rstrip()}%\n}}%\n{tall}"
        "\\noindent\\ifdim\\wd0>\\linewidth\\resizebox{\\linewidth}{!}{\\usebox0}"
        "\\else\\makebox[\\linewidth]{\\usebox0}\\fi\\par\\endgroup\n"
    )


def footnotes(notes: Sequence[str]) -> str:
    """Set notes, ready LaTeX, below a table: small, one paragraph each."""
    joined = "\\par\n".join(notes)
    return f"\\begingroup\\smallskip\\scriptsize\\raggedright\\noindent\n{joined}\\par\\endgroup\n"


def write_table(tex: Path, text: str, csv: Path, frame: pd.DataFrame) -> None:
    """Write a table as LaTeX, and its numbers as tidy CSV; none where one cannot be written."""
    with atomic_path(csv) as partial_csv, atomic_path(tex) as partial_tex:
        frame.to_csv(partial_csv, index=False, lineterminator="\n")
        partial_tex.write_text(text, encoding="utf-8")
    log.info("%s, %s: written", tex, csv)


def build_pdf(document: str, files: Mapping[str, Path | str], pdf: Path, date_epoch: int) -> None:
    """Compile a LaTeX document with latexmk in a temporary folder and put the result at `pdf`.

    The same document, files and date give the same bytes: the document must leave out the PDF's
    own dates and identifier (the template does), and the clock is set to `date_epoch`.

    Args:
        document: the main file's text.
        files: name in the document's folder -> a file to copy there, or text to write.
        pdf: where the result goes, by an atomic rename.
        date_epoch: seconds since 1970, UTC; what LaTeX takes for now.

    Raises:
        InputError: latexmk is missing, an input file is missing, or LaTeX stopped with an error;
            then the message holds the lines of its log that say why.
    """
    latexmk = shutil.which("latexmk")
    if latexmk is None or shutil.which("pdflatex") is None:
        raise InputError(
            f"{pdf}: cannot be made, since latexmk or pdflatex is missing; install the Debian "
            f"packages {' '.join(DEBIAN_PACKAGES)} (as scripts/install_tex.sh does)"
        )
    with tempfile.TemporaryDirectory(prefix="w2dual-latex-") as name:
        folder = Path(name)
        for target, source in files.items():
            if isinstance(source, str):
                (folder / target).write_text(source, encoding="utf-8")
            elif source.is_file():
                shutil.copyfile(source, folder / target)
            else:
                raise InputError(f"{source}: no such file")
        (folder / "document.tex").write_text(document, encoding="utf-8")
        environment = {name: os.environ[name] for name in os.environ if _is_for_tex(name)} | {
            "SOURCE_DATE_EPOCH": str(date_epoch),
            "FORCE_SOURCE_DATE": "1",
            "TZ": "UTC",
            "TEXMFVAR": str(folder / ".texmf-var"),
            "max_print_line": "1000",
        }
        # -norc: a user's own latexmk settings must not change the result.
        command = [latexmk, "-norc", "-pdf", "-interaction=nonstopmode", "-halt-on-error"]
        command += ["-file-line-error", "-no-shell-escape", "document.tex"]
        try:
            done = subprocess.run(  # noqa: S603
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise InputError(f"{pdf}: LaTeX did not end within {TIMEOUT_S:.0f} s") from error
        if done.returncode != 0 or not (folder / "document.pdf").is_file():
            written = folder / "document.log"
            text = (
                written.read_text(encoding="utf-8", errors="replace")
                if written.is_file()
                else done.stdout
            )
            raise InputError(f"{pdf}: LaTeX stopped:\n{error_lines(text)}")
        with atomic_path(pdf) as partial:
            shutil.copyfile(folder / "document.pdf", partial)


def _is_for_tex(name: str) -> bool:
    """Whether a variable says where TeX and its files are; any other could change a document."""
    return name in ("HOME", "LD_LIBRARY_PATH", "PATH", "TMPDIR") or name.startswith("TEXMF")


def error_lines(text: str, after: int = 5, at_most: int = 30) -> str:
    """Return the lines of a LaTeX log that hold errors, each with the few that follow it."""
    lines = text.splitlines()
    starts = re.compile(r"^!|^[^\s:]+\.tex:\d+: |^LaTeX Error")
    kept = sorted(
        {
            number + offset
            for number, line in enumerate(lines)
            if starts.match(line)
            for offset in range(after + 1)
            if number + offset < len(lines)
        }
    )
    chosen = [lines[number] for number in kept] or lines[-at_most:]
    return "\n".join(f"  {line}" for line in chosen[:at_most])
