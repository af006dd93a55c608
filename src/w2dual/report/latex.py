"""Text made safe for LaTeX, tables as booktabs, and LaTeX made into PDF."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from w2dual.records import InputError, atomic_path

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
    """Give text that LaTeX prints as it stands.

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


def booktabs(
    heads: Sequence[str], rows: Sequence[Sequence[str]], bold: Sequence[Sequence[bool]], align: str
) -> str:
    r"""Render ready LaTeX strings as a booktabs tabular through pandas' Styler.

    A first string that starts with `\midrule ` draws that rule above its row.
    """
    # Plain numbers as labels: the first head is empty and heads could repeat.
    frame = pd.DataFrame([list(row) for row in rows], columns=range(len(heads)))
    props = pd.DataFrame(np.where(np.array(bold, dtype=bool), "textbf:--rwrap;", ""))
    styler = frame.style.apply(lambda _: props, axis=None).hide(axis="index")
    styler = styler.format_index(lambda number: heads[int(str(number))], axis="columns")
    return styler.to_latex(column_format=align, hrules=True)


def fitted(tabular: str) -> str:
    r"""Set a tabular at \footnotesize, and shrink it only where it is wider than the line."""
    return (
        "\\begingroup\\footnotesize\\setlength{\\tabcolsep}{4pt}%\n"
        f"\\sbox0{{%\n{tabular.rstrip()}%\n}}%\n"
        "\\noindent\\ifdim\\wd0>\\linewidth\\resizebox{\\linewidth}{!}{\\usebox0}"
        "\\else\\makebox[\\linewidth]{\\usebox0}\\fi\\par\\endgroup\n"
    )


def footnotes(notes: Sequence[str]) -> str:
    """Set notes, ready LaTeX, below a table: small, one paragraph each."""
    joined = "\\par\n".join(notes)
    return f"\\begingroup\\smallskip\\scriptsize\\raggedright\\noindent\n{joined}\\par\\endgroup\n"


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
    """Give the lines of a LaTeX log that hold errors, each with the few that follow it."""
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
