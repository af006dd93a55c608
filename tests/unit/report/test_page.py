"""A tidy table as a page: nothing of it is lost, and a browser reads it."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest

from w2dual.records import InputError
from w2dual.report import page as table_page
from w2dual.results import claims, verdict


class Reader(HTMLParser):
    """Reads the fields of a page's table, row by row, and its last paragraph."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.titles: list[str] = []
        self.open: list[str] = []
        self.note = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self.titles += [value for name, value in attrs if name == "title" and value]
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data
        if self.open and self.open[-1] == "p":
            self.note += data


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(table_page.page("a_table", text))
    assert not reader.open, "an element is left open"
    return reader


def test_every_field_stands_there_and_what_is_the_same_everywhere_stands_once() -> None:
    reader = read("claim,value,preset\nfirst,1.23456789,smoke\nsecond,2,smoke\n")
    assert reader.rows == [["claim", "value"], ["first", "1.235"], ["second", "2"]]
    assert reader.titles == ["1.23456789"]  # all digits, when pointed at
    assert reader.note == "In every row: preset: smoke."


def test_an_empty_column_is_left_out_and_one_row_keeps_all() -> None:
    assert read("a,b,c\n1,,3\n").rows == [["a", "c"], ["1", "3"]]


def test_what_a_row_is_and_its_verdict_come_first() -> None:
    text = "preset,x,verdict,solver\nsmoke,1,worse,adam\nother,2,better,lbfgs\n"
    assert read(text).rows[0] == ["solver", "verdict", "preset", "x"]


def test_text_is_escaped() -> None:
    page = table_page.page("t", 'a,b\n<script>,"x & y"\n1,2\n')
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "x &amp; y" in page


WIDE = (
    "name,source,dimension,mean,std,seeds,diverged_seeds,above_limit,"
    "published_mean,published_std,published_diverged,measures_source\n"
)


def test_dimensions_become_columns_with_the_papers_numbers_below() -> None:
    reader = read(
        WIDE + "W2,quoted,2,0.1,,,,False,,,,\n"
        "W2,quoted,16,0.7,,,,False,,,,\n"
        "Cycle,ours,2,1.23456,0.0123456,10,0,False,0.05,0.02,False,mirror\n"
        "Cycle,ours,16,inf,,10,10,True,,,True,generated\n"
    )
    assert reader.rows == [
        ["source", "name", "n = 2", "n = 16"],
        ["quoted", "W2", "0.1", "0.7"],
        ["ours", "Cycle", "1.235 ± 0.01235", "diverged (10 of 10 seeds)"],
        ["published", "Cycle", "0.05 ± 0.02", "diverged"],
    ]
    assert reader.titles == ["1.23456 ± 0.0123456"]
    assert "seeds: 10; measures source: mirror (n = 2), generated (n = 16)" in reader.note


def test_seeds_that_diverged_are_counted_and_what_differs_is_named() -> None:
    reader = read(
        WIDE + "a,ours,2,1.5,0.5,10,2,False,,,,mirror\nb,ours,2,2.5,0.5,5,0,False,,,,generated\n"
    )
    assert reader.rows[1] == ["a", "1.5 ± 0.5 (2 of 10 seeds diverged)"]
    assert reader.rows[2] == ["b", "2.5 ± 0.5"]
    assert "measures source: differs, see the table's CSV" in reader.note


def test_a_column_of_what_ran_reads_from_the_setting_to_its_source() -> None:
    text = "group,setting,value,meaning,source\na,b,1,c,d\na,e,2,f,g\n"
    assert read(text).rows[0] == ["setting", "value", "meaning", "source"]


def test_every_word_of_a_verdict_or_claim_has_its_colour() -> None:
    assert {*verdict.WORDS, *claims.WORDS} <= table_page.WORDS.keys()


def test_a_table_without_rows_says_so() -> None:
    reader = read("a,b\n")
    assert reader.rows == [["a", "b"]]
    assert reader.note == "The table has no rows."


def test_a_table_with_several_values_of_a_row_and_dimension_stays_as_it_is() -> None:
    reader = read("name,dimension,mean\na,2,1\na,2,2\n")
    assert reader.rows == [["mean"], ["1"], ["2"]]
    assert "dimension: 2" in reader.note


def test_numbers_stand_at_the_right_and_words_of_a_verdict_are_coloured() -> None:
    page = table_page.page("t", "verdict,x\nworse,1.0\nreproduced,2.0\n")
    assert '<td class="bad">worse</td><td class="number">1</td>' in page
    assert '<td class="good">reproduced</td>' in page


@pytest.mark.parametrize(("text", "says"), [("", "is empty"), ("a,b\n1\n", "row 2: 1 fields")])
def test_a_table_that_cannot_be_used_is_refused(text: str, says: str, tmp_path: Path) -> None:
    source, page = tmp_path / "t.csv", tmp_path / "t.html"
    source.write_text(text)
    with pytest.raises(InputError, match=says):
        table_page.write(source, page)
    assert not page.exists()
