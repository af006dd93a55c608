"""What the config gives jobs is what the jobs read."""

import argparse
import json
from pathlib import Path

from tests.unit.settings import PAPER

from w2dual.config import arguments
from w2dual.jobs import claims as claims_job
from w2dual.report.facts import ReportSettings
from w2dual.report.tables.synthetic import SyntheticSettings
from w2dual.results import celeba64, verdict
from w2dual.results.celeba64 import ImageSettings
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
