"""What the commands of an archive have to say of the settings, against what rules give the jobs."""

import json

import pytest
from tests.unit.settings import PAPER

from w2dual.archive import commands
from w2dual.archive.steps import Step
from w2dual.config import arguments
from w2dual.config.systems import ADDITIONS, meta_color


def test_settings_of_lagrangian_costs_are_those_of_their_cells():
    settings = ADDITIONS["lagrangian"].settings["lagrangian-table"](PAPER)

    def said(record):
        words = ("lagrangian-table", "lagrangian", "--settings", json.dumps(record))
        step = Step("rule", (*words, "--tex", "tables/x.tex"), (), ("tables/x.tex",))
        return [line for line in commands.problems([step], ".", PAPER, ()) if "of another" in line]

    assert said(settings) == []
    assert said(settings | {"settings": ["box"]}) == [
        "step rule is of another `settings` than the config"
    ]


def test_a_table_of_studies_is_of_those_of_the_config_alone():
    images = {"palettes": PAPER["measures"]["palettes"] | {"sources": ["drawn"]}}
    config = PAPER | {"measures": PAPER["measures"] | images}
    files = meta_color.studies(config)
    assert len(files) == len(PAPER["meta_color"]["methods"])

    def said(*read):
        words = ("color-table", "meta_ot_color", "--studies", *read)
        step = Step("rule", (*words, "--tex", "tables/x.tex"), (), ("tables/x.tex",))
        inside = ("results/color/mine.safetensors", *files)
        found = commands.problems([step], ".", config, inside)
        return [line for line in found if "not made again" in line]

    assert said(*files) == []
    assert said(*files, "results/color/mine.safetensors") == [
        "step rule: reads results/color/mine.safetensors, which is not made again from metrics"
    ]


@pytest.mark.parametrize(
    ("job", "settings"),
    [
        (["table"], arguments.table(PAPER)),
        (["claims"], arguments.verdict(PAPER)),
        (["claims"], arguments.celeba64_table(PAPER)),
        (["celeba64-table", "celeba64"], arguments.celeba64_table(PAPER)),
    ],
    ids=["table", "claims", "claims of images", "images"],
)
def test_settings_are_those_of_the_jobs_own_cells(job, settings):
    def said(record):
        written = ("--tex", "tables/x.tex", "--csv", "tables/x.csv")
        words = (*job, "--settings", json.dumps(record), *written)
        step = Step("rule", words, (), written[1::2])
        return [line for line in commands.problems([step], ".", PAPER, ()) if "of another" in line]

    assert said(settings) == []
    for key, value in (("dimensions", [3]), ("methods", []), ("decimals", 5)):
        assert said(settings | {key: value}) == [f"step rule is of another `{key}` than the config"]
    other = settings | {"budget": settings["budget"] | {"seeds": [0]}}
    assert said(other) == ["step rule is of another `budget` than the config"]
