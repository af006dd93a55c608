"""Tables as booktabs: rules, bold fields, fields over several columns; written with their CSV."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from w2dual.records import WriteError
from w2dual.report.latex import Row, Span, booktabs, write_table

HEADS = ("", "$n=2$", "$n=4$")


def test_a_table_line_by_line():
    rows = [
        Row(["[W2]", "0.1", "3.0"], bold={1}),
        Row(["", "--", "2.0"], bold={2}, above=r"\midrule"),
        Row([Span(r"\textit{ours}", 2), ""], above=r"\addlinespace"),
        Row(["", Span("none", 2)]),
    ]
    assert booktabs(HEADS, rows, "lrr").splitlines() == [
        r"\begin{tabular}{lrr}",
        r"\toprule",
        r" & $n=2$ & $n=4$ \\",
        r"\midrule",
        r"[W2] & \textbf{0.1} & 3.0 \\",
        r"\midrule  & -- & \textbf{2.0} \\",
        r"\addlinespace \multicolumn{2}{l}{\textit{ours}} &  \\",
        r" & \multicolumn{2}{l}{none} \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]


@pytest.mark.parametrize("fields", [["a", "b"], [Span("a", 3), ""], [Span("a", 2)]])
def test_a_row_fills_the_table(fields: list[str | Span]):
    with pytest.raises(ValueError, match="expected 3 columns"):
        booktabs(HEADS, [Row(fields)], "lrr")


def test_both_files_are_written_or_neither(tmp_path: Path):
    frame = pd.DataFrame({"value": [0.5, float("nan")]})
    write_table(tmp_path / "a.tex", "±", tmp_path / "a.csv", frame)
    assert (tmp_path / "a.tex").read_text(encoding="utf-8") == "±"
    assert (tmp_path / "a.csv").read_bytes() == b'value\n0.5\n""\n'
    (tmp_path / "folder.tex").mkdir()
    with pytest.raises(WriteError, match=r"folder.tex: cannot be written"):
        write_table(tmp_path / "folder.tex", "", tmp_path / "b.csv", frame)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "a.tex", "folder.tex"]
