"""What cells are measured by: one module a system, which nothing else has to name."""

from pathlib import Path

import pytest

from w2dual import closure
from w2dual.config.systems import SYSTEMS
from w2dual.plots import curves
from w2dual.records import InputError
from w2dual.results import measured


def test_modules_have_the_names_of_sections():
    assert set(measured.kinds()) <= set(SYSTEMS)
    assert measured.module_of("baselines") == measured.module_of("hd") == "results.measured.hd"


@pytest.mark.parametrize("kind", measured.kinds())
def test_a_module_is_in_order(kind: str):
    by = measured.of(kind)
    assert set(by.best) <= set(by.metrics)
    drawn = {column: name for column, name in measured.headlines().items() if name == kind}
    assert list(drawn) == ([] if by.curves is None else [by.curves.forward])
    if by.curves is not None:
        assert {by.curves.forward, by.curves.inverse, *(by.curves.floors or ())} <= set(by.metrics)
        record = {"headline": {"column": by.curves.forward}}
        assert curves.errors_of(record, Path("metrics.json")) == (by, by.curves)


def test_a_headline_without_curves_is_refused():
    with pytest.raises(InputError, match="headline.column is 'alignment', expected one of"):
        curves.errors_of({"headline": {"column": "alignment"}}, Path("metrics.json"))


def test_a_job_depends_on_its_own_cells_module_alone():
    rooms = "w2dual/results/measured/"
    for job, kinds in (("lagrangian_table", {"hd", "lagrangian"}), ("aggregate", {"hd"})):
        files = {name for name in closure.closure([f"jobs.{job}"]) if name.startswith(rooms)}
        names = {*kinds, "base", "__init__"}
        assert files == {f"{rooms}{name}.py" for name in names}
