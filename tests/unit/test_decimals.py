"""Numbers as text, in the readers that a user feeds."""

from pathlib import Path

import pytest

from w2dual import decimals
from w2dual.cluster import costs
from w2dual.records import InputError
from w2dual.results import published

ROOT = Path(__file__).parents[2]
STRANGE = ["1_000", "\u0661", "nan", "inf", "Infinity", "1e400", "0,5", "0x1", "", "1 0", "\u00a01"]


@pytest.mark.parametrize("text", ["1", "-1.5", "+.5", "1.", "1e5", "1E-3", " 2.5\t"])
def test_plain_numbers_are_taken(text: str) -> None:
    assert decimals.number(text) == float(text)


@pytest.mark.parametrize("text", STRANGE)
def test_other_ways_are_not(text: str) -> None:
    with pytest.raises(ValueError, match="is |has "):
        decimals.number(text)
    assert not decimals.is_number(text)


@pytest.mark.parametrize("text", [*STRANGE, "1.0", "1e3"])
def test_whole_numbers_are_digits(text: str) -> None:
    with pytest.raises(ValueError, match="is |has "):
        decimals.whole_number(text)
    assert decimals.whole_number(" -12 ") == -12


@pytest.mark.parametrize("column", ["ms_per_step", "seeds", "iterations_mean"])
@pytest.mark.parametrize("text", ["1_000", "\u0663", "1e400"])
def test_costs_are_read_by_their_digits(tmp_path: Path, column: str, text: str) -> None:
    header, first, *_ = (ROOT / "reference" / "costs.csv").read_text().splitlines()
    fields = first.split(",")
    fields[header.split(",").index(column)] = text
    (tmp_path / "costs.csv").write_text(header + "\n" + ",".join(fields) + "\n")
    with pytest.raises(InputError, match=f"line 2: {column} is "):
        costs.read_costs(tmp_path / "costs.csv")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("cycle,adam,2,1_0,0.1,false", "line 3, column mean: '1_0' is not a plain decimal number"),
        ('cycle,adam,2,"0,5",0.1,false', "line 3, column mean: '0,5' has a comma"),
        ("cycle,adam,2,inf,0.1,false", "line 3, column mean: 'inf' is not finite"),
        ("cycle,adam,two,1,0.1,false", "line 3, column dimension: 'two' is not a number"),
        ("cycle,adam,,1,0.1,false", "line 3, column dimension: is empty"),
    ],
)
def test_published_values_are_read_by_their_digits(tmp_path: Path, line: str, message: str) -> None:
    head = "amortization,solver,dimension,mean,std,diverged\ncycle,lbfgs,2,,,true\n"
    (tmp_path / "hd_mine.csv").write_text(head)
    assert len(published.published_cells(tmp_path, "mine")) == 1
    (tmp_path / "hd_mine.csv").write_text(head + line + "\n")
    with pytest.raises(InputError) as caught:
        published.published_cells(tmp_path, "mine")
    assert message in str(caught.value)
