"""What `make gpu-count` reads from XLA's list of thunks, and what it calls worse."""

import dataclasses

from benchmarks import gpu_count

GRAPH = """\
000: kCommandBuffer [source | sink]
    001: kCopy  [source] kCopy
    003: kWhile [prev=002 (1) | sink]
condition:
        004: kCustomKernel [source | sink] wrapped_compare grid: [1, 1, 1]
      body:
        005: kCustomKernel [source] loop_add_fusion grid: [1, 1, 1]
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
KEPT = gpu_count.Count("hd2-mlp-cycle-none", 140, 0, 0, 0, "", "")


def test_operations_are_counted_by_the_loops_they_are_in():
    counts, round_trips = gpu_count.depths(GRAPH)
    assert counts[:4] == [1, 2, 2, 0]
    assert round_trips == 0  # the device reads the conditions of a graph itself


def test_a_loop_outside_of_graphs_asks_the_host():
    counts, round_trips = gpu_count.depths(HOST)
    assert counts[:3] == [1, 2, 0]
    assert round_trips == 1


def test_worse_is_more_operations_round_trips_or_spills():
    assert gpu_count.worse(KEPT, KEPT) == []
    assert gpu_count.worse(KEPT, dataclasses.replace(KEPT, step=139)) == []
    now = dataclasses.replace(KEPT, step=141, round_trips=1, spilled_bytes=8)
    assert [line.split(": ")[1] for line in gpu_count.worse(KEPT, now)] == [
        "step was 140, is 141",
        "round_trips was 0, is 1",
        "spilled_bytes was 0, is 8",
    ]
