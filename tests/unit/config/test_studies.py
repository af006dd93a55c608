"""Which cells are studied, in the paper and where a preset's grid lacks them."""

from pathlib import Path
from typing import Any

from w2dual.config import studies
from w2dual.config.reader import load, merge

ROOT = Path(__file__).parents[3]
PAPER = load([ROOT / "config.yaml"])


def with_hd(**changes: Any) -> dict[str, Any]:
    return merge(PAPER, {"hd": changes})


def names(config: dict[str, Any]) -> dict[str, list[str]]:
    return {key: [cell.name for cell in cells] for key, cells in studies.studied(config).items()}


def test_the_papers_cells() -> None:
    assert names(PAPER) == {
        potential: [f"hd{n}-{potential}-regression-lbfgs" for n in (64, 128, 256)]
        for potential in ("icnn", "mlp")
    }
    chosen = studies.line_search_cell(PAPER)
    assert chosen is not None
    assert chosen.name == "hd256-mlp-regression-lbfgs"


def test_the_papers_images_are_studied_pair_by_pair() -> None:
    pairs = [f"celeba64_{generator}" for generator in ("early", "mid", "late")]
    found = [cell.name for cell in studies.studied_images(PAPER)]
    assert found == [f"{pair}-conv-regression-lbfgs" for pair in pairs]
    plain = [{"amortization": "cycle", "solver": "none"}]
    other = [*plain, {"amortization": "objective", "solver": "adam"}]
    found = studies.studied_images(merge(PAPER, {"celeba64": {"methods": other}}))
    assert {cell.solver for cell in found} == {"adam"}
    for lacking in ({"methods": plain}, {"generators": []}):
        assert studies.studied_images(merge(PAPER, {"celeba64": lacking})) == []


def test_a_smaller_grid_shows_its_largest_dimensions() -> None:
    assert studies.dimensions(with_hd(dimensions=[8, 2, 16, 4])) == [4, 8, 16]
    assert studies.dimensions(with_hd(dimensions=[2])) == [2]
    assert studies.dimensions(with_hd(dimensions=[2, 128])) == [128]
    small = studies.line_search_cell(with_hd(dimensions=[2, 8], potentials=["icnn"]))
    assert small is not None
    assert small.name == "hd8-icnn-regression-lbfgs"


def test_another_method_where_the_grid_lacks_the_papers() -> None:
    methods = [
        {"amortization": "cycle", "solver": "none"},
        {"amortization": "none", "solver": "adam"},
        {"amortization": "objective", "solver": "adam"},
    ]
    assert studies.method(with_hd(methods=methods)) == ("objective", "adam")
    neither = with_hd(methods=methods[:2])
    assert studies.method(neither) is None
    assert studies.studied(neither) == {}
    assert studies.line_search_cell(neither) is None
