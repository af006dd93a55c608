"""Records of our row: tabulated as the document has it, chosen by what a user has."""

import copy
from pathlib import Path
from typing import Any

import pytest

from benchmarks import ours
from w2dual.records import InputError, read_json, write_json


def test_the_document_has_the_tables_of_the_records():
    text = ours.DOCUMENT.read_text(encoding="utf-8")
    assert text == ours.COLLECTION.written(ours.DOCUMENT, ours.RECORDS)


@pytest.fixture
def record() -> dict[str, Any]:
    return read_json(sorted((ours.RECORDS / "fresh").glob("*-ours.json"))[0])


def named(record: dict[str, Any], method: str, solver: str, values: dict[int, float]) -> Any:
    """Return a record of another method: its dual objective, seed by seed."""
    found = copy.deepcopy(record)
    found["cell"] |= {"amortization": method, "solver": solver, "name": f"{method}-{solver}"}
    found["seeds"] = [
        record["seeds"][0] | {"seed": seed, "dual_objective": value}
        for seed, value in values.items()
    ]
    return found


def test_gains_are_of_the_seeds_that_both_have(record: dict[str, Any], tmp_path: Path):
    usual = named(record, *ours.USUAL, {0: -1.0, 1: -2.0, 2: -3.0})
    better = named(record, "better", "lbfgs", {1: -1.5, 2: -2.75, 7: 50.0})
    worse = named(record, "worse", "lbfgs", {0: -1.25})
    assert ours.gains(better, usual) == [0.5, 0.25]
    for item in (usual, worse, better):
        write_json(tmp_path / f"{item['cell']['name']}.json", item)
    found = ours.read(tmp_path)
    assert [ours._key(item)[0] for item in found] == ["better", "regression", "worse"]
    lines = ours.choice_table(found).splitlines()[2:]
    assert ["375.00" in line for line in lines] == [True, False, False]
    assert "-250.00" in lines[2]


def test_what_is_tried_stands_beside_the_papers_method(record: dict[str, Any]):
    alone = named(record, "better", "lbfgs", {1: -1.5})
    with pytest.raises(InputError, match=r"no record of Regression \+ L-BFGS for n = \d+"):
        ours.choice_table([alone])


def test_seconds_are_of_a_seed_and_beside_the_papers_method(record: dict[str, Any]):
    usual = named(record, *ours.USUAL, {5: -1.0, 6: -1.0})
    other = named(record, "better", "lbfgs", {5: -1.0})
    for item, seconds in ((usual, 80.0), (other, 30.0)):
        item["timing"] = {"training_s": seconds}
    lines = ours.seconds_table([usual, other]).splitlines()[2:]
    assert [line.split(" | ")[-2:] for line in lines] == [["40", "1.00 |"], ["30", "0.75 |"]]
    with pytest.raises(InputError, match=r"no record of Regression \+ L-BFGS for n = \d+"):
        ours.seconds_table([other])
