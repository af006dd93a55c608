"""Which jobs an archive may name, and which words; each job of the table is one or the other."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from w2dual.archive import steps
from w2dual.archive.steps import Step
from w2dual.jobs.dispatch import call, parser
from w2dual.records import InputError
from w2dual.subcommands import JOBS, Job

ROOT = Path(__file__).parents[3]
RENDERERS = {
    *("aggregate", "trivial", "table", "trivial-table", "synthetic-table", "cost-table"),
    *("hyperparameters", "table-page", "verdict", "claims", "verdict-figure", "figure"),
    *("accuracy-figure", "curves", "conjugation-figure", "line-search-tables", "celeba64-table"),
    *("baselines-table", "lagrangian-table", "metric-recovery-table", "meta-sinkhorn-table"),
    *("meta-sinkhorn-figure", "color-table", "color-figure"),
}

ENDINGS = {"--out": ".csv"} | {f"--{end}": f".{end}" for end in ("tex", "csv", "html", "pdf")}
ENDINGS |= {"--png": ".png", "--gif": ".gif"}


@pytest.mark.parametrize("job", JOBS)
def test_a_job_renders_or_is_refused(job: str):
    options = JOBS[job].writes or ("--out",)
    names = {option: f"tables/a{ENDINGS[option]}" for option in options}
    words = [word for pair in names.items() for word in pair]
    step = Step("a", (job, *words), (), tuple(names.values()))
    if job in RENDERERS:
        steps.check(step, "runs/tiny")
        return
    with pytest.raises(InputError, match=f"step a: '{job}' is not a job that renders"):
        steps.check(step, "runs/tiny")


def test_a_new_job_is_refused_unless_it_says_that_it_renders(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(JOBS, "new", Job("a summary"))
    with pytest.raises(InputError, match="'new' is not a job that renders"):
        steps.check(Step("a", ("new",), (), ()), ".")
    for arguments in ((), ("",), ("--help",), ("w2dual.report.tables.hd",), ("none",)):
        with pytest.raises(InputError, match="is not a job that renders"):
            steps.check(Step("a", arguments, (), ()), ".")


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


def test_a_job_says_of_each_option_by_which_its_rules_have_it_write():
    """An option that it keeps to itself would write wherever an archive says."""
    found: dict[str, set[str]] = {name: set() for name in RENDERERS}
    for path in (ROOT / "rules").glob("*.smk"):
        for rule in re.split(r"^rule ", path.read_text("utf-8"), flags=re.MULTILINE)[1:]:
            job = re.search(r"python -m w2dual ([\w-]+)", rule)
            if job and job[1] in RENDERERS:
                found[job[1]] |= set(re.findall(r"(--[a-z-]+) \{output", rule))
    assert found == {name: set(JOBS[name].writes) for name in RENDERERS}


def table(**changed: str) -> Step:
    """A step that makes a table, with options of its own."""
    options = {"metrics": "results/metrics/a.csv", "published": "../../tables/published"}
    options |= {"tex": "tables/a.tex", "csv": "tables/a.csv"} | changed
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    return Step("a", ("table", *words), (), (options["tex"], options["csv"]))


OUTPUTS = [
    *("../../.git/config", "../../Makefile", "../../src/w2dual/a.csv", "results/train/a.csv"),
    *("results/metrics/../train/a.csv", "tables/../../../Makefile.csv", "tables/.hidden.csv"),
    *("tables/.git/a.csv", "tables/a.json", "tables/a", "./tables/a.csv", "Tables/a.csv"),
    *("evaluation.csv", "tables//a.csv", "logs/train/a.csv"),
]


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_step_writes_tables_and_figures_and_nothing_else(name: str):
    steps.check(table(), "runs/tiny")
    with pytest.raises(InputError, match="step a: writes .*, expected a file"):
        steps.check(table(csv=name), "runs/tiny")


def test_a_step_does_not_write_published_values():
    step = table(published="tables/published", csv="tables/published/hd_mlp.csv")
    with pytest.raises(InputError, match="step a: writes tables/published/"):
        steps.check(step, ".")


def test_a_step_names_all_that_it_writes_once_and_in_whole_words():
    step = table()
    with pytest.raises(InputError, match=r"writes tables/a\.csv, which is none of its outputs"):
        steps.check(Step("a", step.arguments, (), step.outputs[:1]), "runs/tiny")
    twice = (*step.arguments, "--csv", "tables/b.csv")
    with pytest.raises(InputError, match="--csv is given twice"):
        steps.check(Step("a", twice, (), (*step.outputs, "tables/b.csv")), "runs/tiny")
    with pytest.raises(InputError, match="expected an option of a whole word"):
        steps.check(Step("a", (*step.arguments, "--", "x"), (), step.outputs), "runs/tiny")


def test_an_option_cut_short_is_none(capsys: pytest.CaptureFixture[str]):
    """By `--ht` a step would write what its outputs do not name."""
    with pytest.raises(SystemExit):
        parser("table-page").parse_args(["table-page", "--csv", "a.csv", "--ht", "a.html"])
    assert "--html" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("published", "../../mine", "--published is mine, expected tables/published"),
        ("settings", "tables/settings.json", "expected the JSON text itself"),
        ("cells", " [1]", "expected the JSON text itself"),
        ("config", "[" * 10**5, "expected the JSON text itself"),
    ],
)
def test_what_decides_a_table_is_in_its_command(option: str, value: str, said: str):
    with pytest.raises(InputError, match=said):
        steps.check(table(**{option: value}), "runs/tiny")


def test_whether_a_step_is_compared_follows_from_its_job_alone():
    """A forger would name a file of parameters among its inputs, or a picture it never draws."""
    step = table()
    for inputs, outputs in (((), step.outputs), (("a.safetensors",), (*step.outputs, "a.pdf"))):
        assert Step("a", step.arguments, inputs, outputs).compared
    exact = {name for name in JOBS if Step("a", (name,), (), ("a.csv",)).compared}
    drawn = {"verdict-figure", "figure", "accuracy-figure", "curves", "conjugation-figure"}
    drawn |= {"meta-sinkhorn-figure", "color-figure"}
    assert exact == RENDERERS - drawn - {"trivial"}


WORDS = [
    pytest.param("../../../a.csv", "leads out", id="parent"),
    pytest.param("/tmp/a.csv", "leads out", id="absolute"),  # noqa: S108
    pytest.param("a/../../../../a.csv", "leads out", id="parent-within"),
    pytest.param('["/../../../../../tmp/a.csv"]', "leads out", id="json-that-is-a-path"),
    pytest.param('{"a": "/../../../../../../a.csv"}', "leads out", id="object-that-is-a-path"),
    pytest.param("--csv=/tmp/a.csv", "its value apart", id="value-with-option"),
    pytest.param("-o/tmp/a.csv", "its value apart", id="short-option"),
    pytest.param("https://example.org/a.csv", "is not a path", id="url"),
    pytest.param("a\\b", "is not a path", id="backslash"),
    pytest.param("a\0b", "is not a path", id="nul"),
]


@pytest.mark.parametrize(("word", "said"), WORDS)
@pytest.mark.parametrize("place", ["argument", "input", "output"])
def test_a_word_that_names_something_outside_is_refused(word: str, said: str, place: str):
    arguments = ("table", "--csv", word) if place != "input" else ("table",)
    step = Step("a", arguments, (word,) * (place == "input"), (word,) * (place == "output"))
    with pytest.raises(InputError, match=f"step a: .*{said}"):
        steps.check(step, "runs/tiny")


def test_words_of_our_own_pass():
    settings = json.dumps({"label": "a/b, L\N{SUPERSCRIPT TWO}", "url": "https://example.org"})
    words = ("table", "--metrics", "results/metrics/a.csv", "--published", "../../tables/published")
    out = ("tables/a.tex", "tables/a.csv")
    options = ("--settings", settings, "--tex", out[0], "--csv", out[1], "--decimals", "-1.5")
    steps.check(Step("a", (*words, *options), ("results/metrics/a.csv",), out), "runs/tiny")


@pytest.mark.parametrize("word", ["--help", "--version", "--no-such-option"])
def test_a_step_that_would_end_the_program_is_an_error(word: str, tmp_path: Path):
    (tmp_path / "a.csv").write_text("old")
    step = Step("a", ("table-page", "--csv", "a.csv", "--html", "a.html", word), ("a.csv",), ())
    with pytest.raises(InputError, match="step a: ended with code"):
        steps.run(step, tmp_path, ".", call)


def test_a_link_that_leads_out_is_refused_and_nothing_written(tmp_path: Path):
    """Whoever unpacked an archive by another program may have links in it."""
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (root / "tables").symlink_to(outside)
    (root / "a.csv").write_text("a\n1\n")
    words = ("table-page", "--csv", "a.csv", "--html", "tables/a.html")
    step = Step("a", words, ("a.csv",), ("tables/a.html",))
    steps.check(step, ".")
    with pytest.raises(InputError, match="leads out of the archive, by a link to"):
        steps.run(step, root, ".", call)
    assert list(outside.iterdir()) == []
