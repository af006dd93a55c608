"""What the config gives jobs is what the jobs read."""

import argparse
import json
from pathlib import Path

from tests.unit.config.changed import load
from tests.unit.settings import PAPER

from w2dual.config import arguments
from w2dual.jobs import claims as claims_job
from w2dual.report.facts import ReportSettings
from w2dual.report.tables.synthetic import SyntheticSettings
from w2dual.results import celeba64, verdict
from w2dual.results.celeba64 import ImageSettings
from w2dual.results.summary import TableSettings
from w2dual.results.verdict import VerdictSettings


def test_each_jobs_settings_are_those_it_reads():
    images = ImageSettings.from_json(arguments.celeba64_table(PAPER))
    assert images.generators == tuple(PAPER["celeba64"]["generators"])
    native = [row.amortization for row in images.baselines.methods]
    assert native == [row["method"] for row in PAPER["celeba64_baselines"]["methods"]]
    assert VerdictSettings.from_json(arguments.verdict(PAPER)).alpha == PAPER["verdict"]["alpha"]
    own = VerdictSettings.from_json(arguments.baselines_table(PAPER))
    assert len(own.methods) == len(PAPER["baselines"]["methods"])
    assert SyntheticSettings.from_json(arguments.synthetic_table(PAPER)).epsilon > 0
    report = ReportSettings.from_json(arguments.report(PAPER, ["gauss8-icnn_leaky"]))
    assert report.images == images
    assert report.baselines_batch_sizes == (64, 1024)  # QC's own, and that of the others


def test_tables_are_told_of_groups_of_seeds():
    assert "seeds_at_once" not in arguments.celeba64_table(PAPER)["budget"]
    config = load("celeba64: {training: {seeds_at_once: 4}}")
    images = ImageSettings.from_json(arguments.celeba64_table(config))
    assert images.groups_of("cycle", "adam") == [(0, 1, 2, 3), (4, 5, 6, 7), (8, 9)]
    config = load(
        "{methods: {ours: {training: {seeds_at_once: 8}}}, hd: {more_methods: [{method: ours}]}}"
    )
    settings = TableSettings.from_json(arguments.table(config))
    assert settings.groups_of("ours", "none") == [tuple(range(10))]
    ours = next(row for row in settings.methods if row[0] == "ours")
    assert settings.groups_of(*ours) == [tuple(range(8)), (8, 9)]
    assert settings.groups_of("cycle", "none") == [tuple(range(10))]


def test_claims_take_the_settings_of_both_tables(tmp_path: Path):
    parser = argparse.ArgumentParser()
    claims_job.add_arguments(parser)
    for name in ("verdict", "celeba64_table"):
        settings = getattr(arguments, name)(PAPER)
        columns = verdict.COLUMNS if name == "verdict" else celeba64.VERDICT_COLUMNS
        (tmp_path / "verdict.csv").write_text(",".join(columns) + "\n", encoding="utf-8")
        command = ["--verdict", str(tmp_path / "verdict.csv"), "--settings", json.dumps(settings)]
        command += ["--tex", str(tmp_path / f"{name}.tex"), "--csv", str(tmp_path / f"{name}.csv")]
        claims_job.main(parser.parse_args(command))
        assert (tmp_path / f"{name}.csv").read_text(encoding="utf-8").count("\n") > 1
