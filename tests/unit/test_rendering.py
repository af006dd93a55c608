"""Which jobs an archive may name, and which words; each job of the table is one or the other."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from w2dual import rendering
from w2dual.__main__ import JOBS, Job
from w2dual.records import InputError
from w2dual.rendering import Step

ROOT = Path(__file__).parents[2]
RENDERERS = {
    *("aggregate", "trivial", "table", "trivial-table", "synthetic-table", "cost-table"),
    *("hyperparameters", "table-page", "verdict", "claims", "verdict-figure", "figure"),
    *("accuracy-figure", "curves", "conjugation-figure", "line-search-tables"),
}


@pytest.mark.parametrize("job", JOBS)
def test_a_job_renders_or_is_refused(job: str):
    step = Step("a", (job, "--out", "a.csv"), (), ("a.csv",))
    if job in RENDERERS:
        rendering.check(step, "runs/tiny")
        return
    with pytest.raises(InputError, match=f"step a: '{job}' is no job that renders"):
        rendering.check(step, "runs/tiny")


def test_a_new_job_is_refused_unless_it_says_that_it_renders(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(JOBS, "new", Job("w2dual.new", "a summary"))
    with pytest.raises(InputError, match="'new' is no job that renders"):
        rendering.check(Step("a", ("new",), (), ()), ".")
    for arguments in ((), ("",), ("--help",), ("w2dual.tables",), ("none",)):
        with pytest.raises(InputError, match="is no job that renders"):
            rendering.check(Step("a", arguments, (), ()), ".")


def test_the_jobs_that_rules_make_tables_and_figures_by_are_those_that_render():
    """Else an archive could not be made, or its tables not made again."""
    found = set()
    for path in (ROOT / "rules").glob("*.smk"):
        for rule in re.split(r"^rule ", path.read_text("utf-8"), flags=re.MULTILINE)[1:]:
            job = re.search(r"python -m w2dual ([\w-]+)", rule)
            outputs = re.search(r"    output:\n(.*?)\n    \w+:", rule, re.DOTALL)
            if job and outputs:
                names = re.findall(r'"([^"{]*/)[^"]*"', outputs[1])
                if any(
                    name.startswith(("tables/", "figures/", "results/metrics/")) for name in names
                ):
                    found.add(job[1])
    assert found == RENDERERS == {name for name, job in JOBS.items() if job.renders}


WORDS = [
    pytest.param("../../../a.csv", "leads out", id="parent"),
    pytest.param("/tmp/a.csv", "leads out", id="absolute"),  # noqa: S108
    pytest.param("a/../../../../a.csv", "leads out", id="parent-within"),
    pytest.param('["/../../../../../tmp/a.csv"]', "leads out", id="json-that-is-a-path"),
    pytest.param('{"a": "/../../../../../../a.csv"}', "leads out", id="object-that-is-a-path"),
    pytest.param("--csv=/tmp/a.csv", "its value apart", id="value-with-option"),
    pytest.param("-o/tmp/a.csv", "its value apart", id="short-option"),
    pytest.param("https://example.org/a.csv", "no path", id="url"),
    pytest.param("a\\b", "no path", id="backslash"),
    pytest.param("a\0b", "no path", id="nul"),
]


@pytest.mark.parametrize(("word", "said"), WORDS)
@pytest.mark.parametrize("place", ["argument", "input", "output"])
def test_a_word_that_names_something_outside_is_refused(word: str, said: str, place: str):
    arguments = ("table", "--csv", word) if place != "input" else ("table",)
    step = Step("a", arguments, (word,) * (place == "input"), (word,) * (place == "output"))
    with pytest.raises(InputError, match=f"step a: .*{said}"):
        rendering.check(step, "runs/tiny")


def test_words_of_our_own_pass():
    settings = json.dumps({"label": "a/b, L\N{SUPERSCRIPT TWO}", "url": "https://example.org"})
    words = ("table", "--metrics", "results/metrics/a.csv", "--published", "../../tables/published")
    out = ("tables/a.tex", "tables/a.csv")
    options = ("--settings", settings, "--tex", out[0], "--csv", out[1], "--decimals", "-1.5")
    rendering.check(Step("a", (*words, *options), ("results/metrics/a.csv",), out), "runs/tiny")


@pytest.mark.parametrize("word", ["--help", "--version", "--no-such-option"])
def test_a_step_that_would_end_the_program_is_an_error(word: str, tmp_path: Path):
    (tmp_path / "a.csv").write_text("old")
    step = Step("a", ("table-page", "--csv", "a.csv", "--html", "a.html", word), ("a.csv",), ())
    with pytest.raises(InputError, match="step a: ended with code"):
        rendering.run(step, tmp_path, ".")


def test_a_link_that_leads_out_is_refused_and_nothing_written(tmp_path: Path):
    """Whoever unpacked an archive by another program may have links in it."""
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (root / "tables").symlink_to(outside)
    (root / "a.csv").write_text("a\n1\n")
    words = ("table-page", "--csv", "a.csv", "--html", "tables/a.html")
    step = Step("a", words, ("a.csv",), ("tables/a.html",))
    rendering.check(step, ".")
    with pytest.raises(InputError, match="leads out of the archive, by a link to"):
        rendering.run(step, root, ".")
    assert list(outside.iterdir()) == []
