"""What `make gpu-count` reads from XLA's dump, keeps and calls worse; and what it traces."""

import dataclasses
import re

import jax
import numpy as np
import pytest

from benchmarks import gpu_costs, gpu_count, gpu_floor, gpu_programs, gpu_stages
from benchmarks.gpu_count import Thunks
from w2dual.cluster.costs import COSTS, read_costs, write_costs
from w2dual.records import InputError

GRAPH = """\
000: kCommandBuffer [source | sink]
    001: kCopy  [source] kCopy
    003: kWhile [prev=002 (1) | sink]
condition:
        004: kCustomKernel [source | sink] wrapped_compare grid: [1, 1, 1]
      body:
        005: kCustomKernel [source] loop_add_fusion grid: [1, 1, 1]
        009: kCustomKernel [source] conjugate_lbfgs grid: [10, 64, 1]  shared_memory: 16384 bytes
        006: kWhile [source]
condition:
            007: kCustomKernel [source | sink] wrapped_compare grid: [1, 1, 1]
          body:
            008: kGemm [source] gemm
"""
HOST = """\
000: kCopy [source] kCopy
003: kWhile [prev=000 (1) | sink]
condition:
    004: kCustomKernel [source | sink] wrapped_compare grid: [1, 1, 1]
  body:
    000: kCommandBuffer [source | sink]
        005: kCustomKernel [source] loop_add_fusion grid: [1, 1, 1]
"""
KEPT = gpu_count.Count(
    "hd2-mlp-cycle-none", 140, 0, 0, 0, 0, "", "", "", 68872559, 9.5, "0123456789ab"
)


def test_operations_are_counted_by_the_loops_they_are_in():
    thunks = Thunks.parse(GRAPH)
    (steps,) = thunks.whole.loops
    (solver,) = steps.loops
    assert (thunks.whole.operations, steps.operations, solver.operations) == (1, 3, 2)
    assert (solver.nested, solver.loops) == (0, [])
    assert thunks.round_trips == 0  # the device reads the conditions of a graph itself
    assert thunks.shared_bytes == {"conjugate_lbfgs": 16384}


def test_a_loop_outside_of_graphs_asks_the_host():
    thunks = Thunks.parse(HOST)
    assert thunks.whole.operations == 1
    assert thunks.whole.loops[0].operations == 2
    assert thunks.round_trips == 1


def test_a_thunk_that_waits_for_the_host_is_a_round_trip():
    text = GRAPH.replace("005: kCustomKernel", "005: kHostSend")
    assert Thunks.parse(text).round_trips == 1


def test_our_own_kernels_are_those_that_a_program_names():
    text = 'call @__gpu$xla.gpu.triton(%1) {backend_config = {ir = "", name = "conjugate_adam"}}'
    assert gpu_count.OWN.findall(text) == ["conjugate_adam"]
    assert gpu_count.OWN.findall('custom_call @Sharding(%1) {name = "a"}') == []


def test_memory_is_what_xla_plans_for_all_buffers(tmp_path):
    report = tmp_path / "module_0001.jit_run.sm_9.0_gpu_after_optimizations-memory-usage-report.txt"
    report.write_text(
        "Memory Space: default (color=0)\nTotal bytes: 68872559 (65.68MiB)\n  25.00MiB\n"
    )
    assert gpu_count.planned_memory(tmp_path) == 68872559
    report.write_text("nothing known\n")
    with pytest.raises(LookupError, match="Total bytes"):
        gpu_count.planned_memory(tmp_path)


def test_registers_are_those_of_every_kernel_of_a_name():
    line = """ptxas info    : Compiling entry function '{}' for 'sm_90a'
ptxas info    : Function properties for {}
    0 bytes stack frame, {} bytes spill stores, 9 bytes spill loads
ptxas info    : Used {} registers, used 1 barriers
"""
    kernels = [("network_a", 0, 40), ("network_a_1", 16, 255), ("network_ab", 8, 99)]
    text = "".join(line.format(name, name, spilled, used) for name, spilled, used in kernels)
    assert gpu_count.used(text, "network_a") == [(40, 0), (255, 16)]


def test_the_table_is_read_as_it_was_written(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu_count, "TABLE", tmp_path / "launches.csv")
    assert gpu_count.read() == {}
    own = dataclasses.replace(KEPT, cell="hd16-a", registers=255, spilled_bytes=0, shared_bytes=9)
    gpu_count.write([own, KEPT])
    assert list(gpu_count.read().values()) == [KEPT, own]  # hd2 before hd16
    gpu_count.TABLE.write_text("cell,step\n")
    with pytest.raises(InputError, match=re.escape("['cell', 'step']")):
        gpu_count.read()


def test_worse_is_more_operations_round_trips_or_spills():
    assert gpu_count.worse(KEPT, KEPT) == []
    assert gpu_count.worse(KEPT, dataclasses.replace(KEPT, step=139, compile_cpu_s=99.0)) == []
    now = dataclasses.replace(KEPT, step=141, round_trips=1, spilled_bytes=8)
    assert [line.split(": ")[1] for line in gpu_count.worse(KEPT, now)] == [
        "step was 140, is 141",
        "round_trips was 0, is 1",
        "spilled_bytes was 0, is 8",
    ]


def test_the_summary_names_the_largest_and_what_none_should_have():
    bad = dataclasses.replace(KEPT, cell="b", step=7, round_trips=2, spilled_bytes=32)
    lines = gpu_count.summary([KEPT, bad])
    assert lines[:2] == ["2 cells", "most step: 140 (hd2-mlp-cycle-none)"]
    assert lines[-3:] == [
        "loops within the solver's: none",
        "waits for the host: b (2)",
        "a kernel that spills: b (32)",
    ]


def test_all_cells_of_the_paper_can_be_named():
    assert len(gpu_programs.cells()) == 128 + 80 + 32 + 21 + 24 + 9 + 5 + 12 + 9
    with pytest.raises(InputError, match="no cell hd3-mlp"):
        gpu_programs.chosen(["hd3-mlp"])


@pytest.mark.parametrize("pair", ["hd256", "images", "mnist", "circle"])
def test_a_pair_has_shapes_without_weights(pair):
    shapes = gpu_programs.pair_shapes(pair)
    n = shapes.dimension
    for name in ("sample_source", "sample_target"):
        drawn = jax.eval_shape(lambda p, name=name: getattr(p, name)(jax.random.key(0), 8), shapes)
        assert drawn.shape == (8, n)


def test_arithmetic_is_that_of_the_products():
    """XLA's count of an evaluation against the layers' sizes at n = 4; exponentials are more."""
    found = gpu_floor.floor(gpu_programs.cells()["hd4-mlp-objective-lbfgs"])
    products = 4 * 64 + 64 * 64 + 64 * 32 + 32
    assert 1.0 <= found.evaluation_gflop * 1e9 / (10 * 1024 * 2 * 2 * products) < 1.15
    weights = (2 * (4 * 64 + 64 * 64 + 64 * 32) + 32 + 4 * 32) * 4  # of both networks, about
    assert found.step_mb * 1e6 > 2 * 10 * 3 * weights
    assert found.turn_mb * 1e6 > 2 * 2 * 10 * 10 * 1024 * 4 * 4  # both histories, in and out


def test_rates_of_the_card_are_those_of_its_facts():
    card = gpu_floor.card()
    assert card.float32 == pytest.approx(66.9e12, rel=1e-3)
    assert card.bytes == pytest.approx(3.35e12, rel=1e-3)


def test_ways_to_share_lanes_by_hand():
    needed = np.array([[1, 5, 2, 1], [3, 1, 1, 1]])
    assert gpu_stages.in_stages(needed, [4]) == (5, 2 * 5 * 4)
    # turns with 4, 2, 1, 1, 1 points running in the busier seed
    assert gpu_stages.in_stages(needed, [4, 2]) == (5, 2 * (4 + 2 + 2 + 2 + 2))
    assert gpu_stages.in_stages(needed, [4, 2, 1]) == (5, 2 * (4 + 2 + 1 + 1 + 1))
    # first seed: lanes until 1 and 5, then 1 + 2, then 3 + 1
    assert gpu_stages.in_queue(needed, 2) == (5, 2 * 5 * 2)


def test_the_costs_of_gpus_are_those_of_the_kept_records(tmp_path):
    """If this fails, `python -m benchmarks.gpu_costs` writes them again."""
    whole = gpu_costs.of_paper()
    speeds = gpu_costs.of_speeds(gpu_costs.SPEEDS, whole, gpu_programs.cells())
    assert {cost.dimension for cost in speeds} >= {16}
    write_costs(tmp_path / "costs.csv", [*speeds, *whole])
    kept = {cost.key: cost for cost in read_costs(gpu_costs.ROOT / COSTS)}
    for cost in read_costs(tmp_path / "costs.csv"):
        assert kept[cost.key] == cost
    nearest = max(whole, key=lambda cost: (cost.potential == "mlp", cost.dimension))
    assert nearest.dimension < 16
    assert speeds[0].figures.pretraining_ms_per_step == nearest.figures.pretraining_ms_per_step
