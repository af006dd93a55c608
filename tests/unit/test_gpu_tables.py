"""The tables of GPUs: by hand, and that the document has what the records say."""

import dataclasses

import jax
import numpy as np
import pytest

from benchmarks import gpu_floor, gpu_tables
from benchmarks.gpu_count import Count
from benchmarks.gpu_equality import agrees, compared
from benchmarks.gpu_floor import Floor
from benchmarks.gpu_tables import Solved
from benchmarks.render import insert
from w2dual.conjugate import base

ROW = Floor("hd16-mlp-regression-lbfgs", 16, 2.4, 0.3, 7.8, 31.6)
NEED = Solved(evaluations=7.0, turns=30.0, spent=2.0, source="a record")
COUNT = Count(
    "hd16-mlp-regression-lbfgs", 140, 0, 0, 0, 0, 255, 0, 16384, 7 * 10**7, 9.0, "0123456789ab"
)


def test_the_floor_is_arithmetic_or_memory_whichever_takes_longer():
    rates = gpu_floor.card()
    gflop = 2.4 + 7 * 0.3
    assert gpu_tables.floor_ms(ROW, NEED, tensor=False) == pytest.approx(
        1e12 * gflop / rates.float32
    )
    assert gpu_tables.floor_ms(ROW, NEED, tensor=True) == pytest.approx(1e12 * gflop / rates.tensor)
    large = dataclasses.replace(ROW, step_mb=1e4)
    assert gpu_tables.floor_ms(large, None, tensor=False) == pytest.approx(1e13 / rates.bytes)


def test_the_projection_by_hand():
    assumed = gpu_tables.SHARE * gpu_floor.card().float32 / 1e12
    outside = 140 * 0.004 + 2.4 / assumed
    assert gpu_tables.projected_ms(ROW, COUNT, None, 0.004, 5e12) == pytest.approx(outside)
    kernel = gpu_tables.projected_ms(ROW, COUNT, NEED, 0.004, 5e12)
    assert kernel == pytest.approx(outside + 7 * 0.3 / 5)  # GFLOP over GFLOP a millisecond
    plain = dataclasses.replace(COUNT, loops=3, solver=68)
    found = gpu_tables.projected_ms(ROW, plain, NEED, 0.004, 5e12)
    assert found == pytest.approx(outside + 30 * 68 * 0.004 + 14 * 0.3 / assumed)


def test_the_projection_has_the_drivers_stages(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert base.default_stages(1024) == list(gpu_tables.STAGES)


def test_launches_name_loops_and_what_is_not_counted():
    cells = gpu_tables.config_cells()
    loops = dataclasses.replace(COUNT, cell="hd128-mlp-regression-adam", loops=3, solver=19)
    text = gpu_tables.launches({row.cell: row for row in (COUNT, loops)}, cells)
    (lbfgs,) = [line for line in text.splitlines() if line.startswith("| MLP | Regression + L-B")]
    assert lbfgs.split("|")[3:11] == ["  "] * 3 + [" 140 "] + ["  "] * 4
    assert "| 140 + 3 x 19 |" in text
    assert text.startswith(f"Counted: 2 of {len(cells)} cells.")


def test_kernel_and_solver_agree_where_rounding_explains_the_difference():
    @dataclasses.dataclass
    class Result:
        x: np.ndarray
        value: np.ndarray
        gradient_norm: np.ndarray
        status: np.ndarray
        iterations: np.ndarray
        evaluations: np.ndarray

    def result(iterations, norms):
        count = np.asarray(iterations)
        norms = np.asarray(norms, np.float32)
        return Result(norms, 4 + 0 * norms, norms, np.ones_like(count), count, count + 1)

    many = np.full(1000, 3)
    norms = np.full(1000, 5e-4)
    plain, same = result(many, norms), result(many, norms)
    assert agrees(compared(plain, same, 1e-3), exactly=True)
    later, smaller = many.copy(), norms.copy()
    later[:10], smaller[:10] = 4, 1e-4
    got = result(later, smaller)
    found = compared(plain, got, 1e-3)
    assert found["same"]["iterations"] == 0.99
    assert found["differing"]["points"] == 10
    assert found["differing"]["some"][0] == [3, 4, 0.5]  # stopped at half the tolerance
    assert not agrees(found, exactly=True)
    assert agrees(found, exactly=False)  # 1e-3 ** 2 / 2 is what float32 resolves of 4
    assert not agrees(compared(plain, got, 0.1), exactly=False)  # 0.1 ** 2 / 2 is far more
    worse = result(later, np.where(later == 4, 1e-4, 6e-4))
    assert not agrees(compared(plain, worse, 1e-3), exactly=False)


def test_the_document_has_what_the_records_say():
    text = gpu_tables.DOCUMENT.read_text(encoding="utf-8")
    begin, end = gpu_tables.BEGIN, gpu_tables.END
    assert insert(text, gpu_tables.rendered(), "", begin, end) == text, "run `make gpu-tables`"
