"""Records of the paper's budget: what is kept, how it is compared, and that the document has it."""

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import paper_budget
from benchmarks.kept import ROOT, keep
from benchmarks.paper_budget import COLLECTION, agrees, difference, tables
from w2dual.records import InputError, read_json, write_json


def seed(number: int = 0, forward: float | None = 0.035, **changes: Any) -> dict[str, Any]:
    return {
        "seed": number,
        "status": "finished",
        "diverged_at_step": None,
        "before_divergence": None,
        "l2_uvp_forward_percent": forward,
        "l2_uvp_inverse_percent": 0.02,
        "spikes": {"steps": 0, "first_step": None},
    } | changes


def record(*seeds: dict[str, Any], **cell: Any) -> dict[str, Any]:
    """Of a cell that the paper has as 0.03 +- 0.00, unless `cell` says another."""
    return {
        "cell": {"name": "hd2-mlp-regression-lbfgs", "dimension": 2, "potential": "mlp"}
        | {"amortization": "regression", "solver": "lbfgs"}
        | {"settings": {"seeds": [0], "solver": {"curvature": "any"}}}
        | cell,
        "seeds": list(seeds or [seed()]),
        "timing": {"training_s": 600.0},
        "provenance": {"device": "CPU: a b", "host": "gpu17", "git_commit": "c" * 40},
    }


DIVERGED = {
    "status": "diverged",
    "diverged_at_step": 9000,
    "before_divergence": {"l2_uvp_forward_percent": 1e9, "l2_uvp_inverse_percent": None},
}
BEYOND = {"name": "hd2-mlp-cycle-lbfgs", "amortization": "cycle"}


def write_run(folder: Path, *records: dict[str, Any]) -> Path:
    for one in records:
        place = folder / one["cell"]["name"]
        write_json(place / "metrics.json", one)
        text = "seed,step,dual,l2_uvp_forward_percent,l2_uvp_inverse_percent\n0,5,1,0.12345678,\n"
        (place / "history.csv").write_text(text)
    return folder


def test_off_by_published_standard_deviations():
    # A deviation printed as 0.00 is taken as half of its last digit.
    assert difference(record(seed(forward=0.04))) == pytest.approx((0.04 - 0.03) / 0.005)
    assert agrees(record(seed(0, 0.04), seed(1, 0.05)))  # a mean of 0.045, three of them off
    assert not agrees(record(seed(forward=0.0451)))
    assert not agrees(record(seed(forward=0.01)))


def test_above_the_limit_agrees_with_above_the_limit_alone():
    assert agrees(record(seed(**DIVERGED, forward=None), **BEYOND))
    assert agrees(record(seed(forward=250.0), **BEYOND))
    assert not agrees(record(seed(forward=0.25), **BEYOND))
    assert not agrees(record(seed(**DIVERGED, forward=None)))


def test_what_is_kept_names_no_host_and_is_small(tmp_path: Path):
    run = write_run(tmp_path / "run", record())
    assert keep(run, tmp_path / "kept", tree="d" * 40) == ["hd2-mlp-regression-lbfgs"]
    kept = read_json(tmp_path / "kept" / "hd2-mlp-regression-lbfgs.json")
    assert kept["provenance"]["host"] is None
    assert kept["provenance"]["git_commit"] == "d" * 40
    assert kept["seeds"] == record()["seeds"]
    assert (tmp_path / "kept" / "hd2-mlp-regression-lbfgs.csv").read_text().splitlines() == [
        "seed,step,l2_uvp_forward_percent,l2_uvp_inverse_percent",
        "0,5,0.123457,",
    ]


def test_a_record_of_more_seeds_stays(tmp_path: Path):
    keep(write_run(tmp_path / "two", record(seed(0), seed(1))), tmp_path / "kept")
    assert keep(write_run(tmp_path / "one", record()), tmp_path / "kept") == []
    kept = read_json(tmp_path / "kept" / "hd2-mlp-regression-lbfgs.json")
    assert len(kept["seeds"]) == 2


def of_the_paper(name: str, iterations: int | None = None, **changes: Any) -> dict[str, Any]:
    """Return a record that is kept, with other seeds, and with fewer steps if that is asked for."""
    found = read_json(paper_budget.RECORDS / f"{name}.json") | changes
    found["cell"]["settings"]["seeds"] = [7]
    if iterations is not None:
        found["cell"]["settings"]["training"]["iterations"] = iterations
    return found


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"iterations": 40}, "`training.iterations: 40`, not `250001`"),
        ({"measures": {"source": "generated"}}, "trained on a `generated` pair"),
    ],
)
def test_a_run_of_other_settings_replaces_no_record(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], wrong: dict[str, Any], message: str
):
    """Nothing of such a run is kept, unless it is kept as a departure."""
    first, second = "hd2-icnn-cycle-none", "hd2-mlp-regression-lbfgs"
    own = replace(COLLECTION, records=tmp_path / "kept")
    run = write_run(tmp_path / "run", of_the_paper(first), of_the_paper(second))
    assert own.main(["keep", str(run)]) == 0
    before = {path: path.read_bytes() for path in own.records.iterdir()}
    bad = write_run(
        tmp_path / "bad",
        of_the_paper(first, timing={"training_s": 1.0}),
        of_the_paper(second, **wrong),
    )
    assert own.main(["keep", str(bad)]) == 2
    said = capsys.readouterr().err
    assert f"{second}/metrics.json: " in said
    assert message in said
    assert {path: path.read_bytes() for path in own.records.iterdir()} == before
    departure = own.records / "departures" / "short"
    assert own.main(["keep", str(bad), "--into", str(departure)]) == 0
    assert (departure / f"{second}.json").exists()


def test_a_cell_that_the_config_has_not_is_not_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    own = replace(COLLECTION, records=tmp_path / "kept")
    run = write_run(tmp_path / "run", record(name="moons-mlp-regression-lbfgs"))
    assert own.main(["keep", str(run)]) == 2
    assert "moons-mlp-regression-lbfgs: is no cell of the config's `hd`" in capsys.readouterr().err
    assert not own.records.exists()


def test_tables_have_each_record_and_both_ways(tmp_path: Path):
    spiked = seed(spikes={"steps": 2, "first_step": 146540})
    other = copy.deepcopy(record(seed(forward=0.06)))
    other["cell"]["settings"]["solver"]["curvature"] = "positive"
    diverged = record(seed(**DIVERGED, forward=None), **BEYOND)
    keep(write_run(tmp_path / "run", record(spiked), diverged), tmp_path)
    keep(write_run(tmp_path / "other", other), tmp_path / "departures" / "curvature")
    lines = tables(tmp_path).splitlines()
    assert lines[0].startswith("2 cells, 2 of which agree")
    own, both = (
        [line for line in lines if f"{start} |" in line]
        for start in ("| 2, MLP", "hd2-mlp-regression-lbfgs")
    )
    assert [line.split(" | ")[3] for line in own] == [">100", "0.035"]
    assert "diverged at 9,000" in own[0]
    assert "0.03 ± 0.00 | +1.0 | 2 | 10.0 | a b | agrees" in own[1]
    assert both == [
        "| hd2-mlp-regression-lbfgs | `solver.curvature: positive`, not `any` | 0.060 / 0.020 "
        "| 0.035 / 0.020 | 0.03 ± 0.00 |",
        "| hd2-mlp-regression-lbfgs | `training.divergence_every: 1`, not `1000` "
        "| diverged at 146,540 | 0.035 / 0.020 | 0.03 ± 0.00 |",
    ]


def test_what_is_missing_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(InputError, match="holds no CELL/metrics.json"):
        keep(tmp_path, tmp_path)
    assert COLLECTION.main(["render", "--records", str(tmp_path)]) == 2
    assert "holds no records" in capsys.readouterr().err
    document = tmp_path / "a.md"
    document.write_text("no markers")
    with pytest.raises(InputError, match=r"a.md: lacks the lines between which"):
        COLLECTION.written(document, paper_budget.RECORDS)


def test_the_document_has_what_the_records_say():
    text = paper_budget.DOCUMENT.read_text(encoding="utf-8")
    assert COLLECTION.written(paper_budget.DOCUMENT, paper_budget.RECORDS) == text


def test_the_records_are_of_the_configs_cells():
    """The settings of a record are those that the config gives its cell, seeds aside."""
    from w2dual.config.grid import cells_in
    from w2dual.config.reader import load

    config = load([ROOT / "config.yaml"])
    cells = {cell.name: cell for cell in cells_in("hd", config)}
    assert len(paper_budget.wanted()) == 18
    for one in paper_budget.read(paper_budget.RECORDS):
        name = one["cell"]["name"]
        assert name in paper_budget.wanted()
        assert one["measures"]["source"] in ("mirror", "download")
        given = json.loads(json.dumps(cells[name].settings))
        assert one["cell"]["settings"] | {"seeds": None} == given | {"seeds": None}
