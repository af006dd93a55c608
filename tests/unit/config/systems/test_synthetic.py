"""Grids and figures on the plane: what is refused, and which pairs are prepared."""

import pytest
import yaml
from tests.unit.config.changed import load, refusal
from tests.unit.settings import PAPER

from w2dual.config import reader

GRID = """\
synthetic:
  grids:
    - {pairs: [PAIR], potentials: [POTENTIAL], methods: [{amortization: LOSS, solver: SOLVER}],
       hidden: [4]}
"""


def one_grid(pair="rings", potential="mlp_leaky", loss="regression", solver="lbfgs") -> str:
    names = {"PAIR": pair, "POTENTIAL": potential, "LOSS": loss, "SOLVER": solver}
    text = GRID
    for word, name in names.items():
        text = text.replace(word, name)
    return text


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (
            one_grid(pair="ring"),
            [
                "`synthetic.grids.0.pairs`",
                "unknown name `ring`; `measures.synthetic` has ",
                "maf_moon, rings",
            ],
        ),
        (one_grid(pair="hd2"), ["`synthetic.grids.0.pairs`", "unknown name `hd2`"]),
        (
            one_grid(potential="vit"),
            ["`synthetic.grids.0.potentials`", "unknown name `vit`", "icnn, "],
        ),
        (
            one_grid(loss="cycles"),
            [
                "`synthetic.grids.0.methods.0.amortization`",
                "unknown name `cycles`; `amortizations` has ",
            ],
        ),
        (one_grid(solver="sgd"), ["`synthetic.grids.0.methods.0.solver`", "unknown name `sgd`"]),
        (one_grid(solver="none"), ["`synthetic.grids.0.methods.0`", "regression loss needs"]),
    ],
    ids=["pair", "benchmark", "potential", "loss", "solver", "no-solver"],
)
def test_grid_on_the_plane_with_an_unknown_name(text: str, parts: list[str]):
    message = refusal(text)
    for part in parts:
        assert part in message


def test_a_cell_of_two_grids():
    part = PAPER["synthetic"]["grids"][0]
    again = part | {"pairs": ["rings"], "hidden": [4]}
    message = refusal(yaml.safe_dump({"synthetic": {"grids": [part, again]}}))
    assert "`synthetic.grids.1`" in message
    assert (
        "rings-icnn_leaky-regression-lbfgs_high_precision is already in `synthetic.grids.0`"
        in message
    )


@pytest.mark.parametrize(
    ("change", "name", "parts"),
    [
        ("{potential: icnn}", "flow", ["pair `maf_moon` with the potential `icnn`"]),
        ("{pairs: [rings, images]}", "flow", ["pair `images` with the potential `icnn_leaky`"]),
        ("{pairs: [ring], potential: mlp}", "mine", ["pair `ring` with the potential `mlp`"]),
    ],
)
def test_a_figure_of_a_cell_that_is_in_no_grid(change: str, name: str, parts: list[str]):
    message = refusal(f"synthetic: {{figures: {{{name}: {change}}}}}")
    assert f"`synthetic.figures.{name}`: no grid of `synthetic.grids` has a cell of" in message
    for part in parts:
        assert part in message


def test_a_figure_may_be_left_out():
    assert load("synthetic: {figures: {flow: null}}")["synthetic"]["figures"]["flow"] is None


def test_a_pair_that_no_cell_uses_is_not_prepared():
    unused = "measures: {synthetic: {mine: {kind: synthetic, source: rings, target: rings}}}"
    assert "mine" not in reader.pairs(load(unused))
    grid = {
        "pairs": ["mine"],
        "potentials": ["mlp_leaky"],
        "methods": [{"amortization": "none", "solver": "adam"}],
        "hidden": [4],
    }
    grids = [*PAPER["synthetic"]["grids"], grid]
    used = reader.pairs(load(unused + "\n" + yaml.safe_dump({"synthetic": {"grids": grids}})))
    assert "mine" in used
