"""Cells of a report: two of the benchmark and three on the plane."""

from pathlib import Path

import pandas as pd
import pytest
from tests.unit.report.report_data import PLANE, SOLVERS
from tests.unit.results.test_aggregate import (
    expected,
    plane_record,
    plane_seed,
    record,
    seed,
    write,
)

from w2dual.report import facts
from w2dual.results.aggregate import aggregate
from w2dual.results.measured.synthetic import MEASURED as SYNTHETIC


@pytest.fixture
def frame(tmp_path: Path) -> pd.DataFrame:
    records = [record(solver) for solver in SOLVERS]
    records[0]["seeds"][1] = seed(1, None, "diverged")
    for one in records:
        one["provenance"] |= {"device": "cpu: a_b & c", "git_commit": "c" * 40 + "+"}
    aggregate(write(tmp_path, *records), expected(*records), tmp_path / "hd.csv")
    planes = []
    for name in PLANE:
        pair, potential, *_ = name.split("-")
        planes.append(plane_record(pair, potential))
    planes[1]["seeds"][0] = plane_seed(0, None, "diverged")
    out = tmp_path / "synthetic.csv"
    aggregate(write(tmp_path, *planes), expected(*planes), out, SYNTHETIC)
    return facts.read_metrics([tmp_path / "hd.csv"], [out])
