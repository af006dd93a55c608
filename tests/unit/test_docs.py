"""What the documentation names is there, and its commands are ones that can be given."""

from __future__ import annotations

import argparse
import re
import runpy
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from w2dual.cluster.estimate_summary import Asked, text
from w2dual.jobs.defaults import config_files
from w2dual.jobs.dispatch import parser

ROOT = Path(__file__).parents[2]
PAGES = {
    str(path.relative_to(ROOT)): path.read_text("utf-8")
    for path in [ROOT / "README.md"]
    + [
        one
        for place in ("docs", "benchmarks", "reference")
        for one in ROOT.glob(f"{place}/**/*.md")
    ]
}
MODULES = {
    f"benchmarks.{path.stem}": path.read_text("utf-8")
    for path in sorted((ROOT / "benchmarks").glob("*.py"))
}

RUN = [name for name, content in MODULES.items() if '"__main__"' in content]

SUFFIXES = ("py", "smk", "yaml", "toml", "md", "sh", "jsonl", "in")
PUBLISHED = {"config/train.yaml", "scripts/analyze_benchmark_results.py"}
"""Files of the published code, w2ot."""
MADE = {"presets/mine.yaml", "slurm/config.v9+.yaml"}
"""Files that a reader makes."""


def spans(text: str) -> list[str]:
    """Return what stands between backticks, outside of blocks of code."""
    outside = re.sub(r"^(?: {4}[^\n]*|```.*?^```)$", "", text, flags=re.M | re.S)
    return [" ".join(found.split()) for found in re.findall(r"`([^`]+)`", outside)]


def lines(text: str) -> list[str]:
    """Return the lines of blocks of code, each in one piece."""
    joined = re.sub(r" *\\\n *", " ", text)
    return [line.strip() for line in joined.splitlines() if line.startswith("    ")]


def commands(program: str) -> Iterator[tuple[str, str]]:
    """Yield each command of a program that has arguments, with the page that it is on."""
    for page, content in PAGES.items():
        for found in (*lines(content), *spans(content)):
            if found.startswith(f"{program} "):
                yield page, found


def words(command: str) -> list[str]:
    """Return the arguments of `python -m MODULE`, without a comment, and without a pipe."""
    (first, *_) = re.split(r" [>|] ", command)
    return shlex.split(first, comments=True)[2:]


# ---------------------------------------------------------------- files


@pytest.mark.parametrize("page", PAGES)
def test_files_that_a_page_names_are_there(page: str):
    """By their whole paths, so that a reader finds them."""
    own = set(re.findall(r"^```\w+ file=(\S+)", PAGES[page], flags=re.M)) | PUBLISHED | MADE
    named = {span for span in spans(PAGES[page]) if re.fullmatch(r"[\w.+-]+(/[\w.+-]+)+", span)}
    named = {name for name in named if name.endswith(tuple(f".{end}" for end in SUFFIXES))}
    named = {name for name in named if "NAME" not in name}
    assert [name for name in sorted(named - own) if not (ROOT / name).is_file()] == []


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str):
    found = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", PAGES[page])
    assert [link for link in found if not (ROOT / page).parent.joinpath(link).exists()] == []


def test_the_index_has_every_page():
    linked = set(re.findall(r"^\| \[[^]]+\]\(([\w.]+)\)", PAGES["docs/README.md"], flags=re.M))
    assert linked == {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}


def test_the_benchmarks_page_has_every_module():
    page = PAGES["benchmarks/README.md"]
    missing = [name for name in MODULES if f"`{name.removeprefix('benchmarks.')}.py`" not in page]
    assert missing == ["benchmarks.__init__"]


# ---------------------------------------------------------------- commands


def test_snakemake_is_told_how_many_cores():
    """It stops without, unless a profile says so or nothing is to run."""
    found = [
        (page, command)
        for page, command in commands("snakemake")
        if command in lines(PAGES[page]) or "--configfile" in command
    ]
    assert len(found) > 20
    for page, command in found:
        told = any(option in command for option in ("--cores", "--profile", "--dry-run"))
        assert told, f"{page}: {command}"


class Parsed(Exception):
    """The arguments of a command are ones that it takes."""


@pytest.fixture
def parse(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Run a command up to where its arguments are read."""
    original = argparse.ArgumentParser.parse_args

    def read(self: argparse.ArgumentParser, *arguments: Any) -> None:
        original(self, *arguments)
        raise Parsed

    def run(page: str, command: str) -> None:
        module, *arguments = words(command)
        monkeypatch.setattr(sys, "argv", [module, *arguments])
        try:
            if module == "w2dual":  # what it does to a process before is not for this one
                parser(arguments[0]).parse_args(arguments)
            runpy.run_module(module, run_name="__main__")
        except Parsed:
            return
        except SystemExit:
            pass
        raise AssertionError(f"{page}: {command}")

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", read)
    return run


@pytest.mark.parametrize("name", RUN)
def test_a_module_that_is_run_reads_its_arguments(name: str):
    """Else `--help` would do what it does, such as writing a file."""
    assert "ArgumentParser(" in MODULES[name] or "COLLECTION.main(" in MODULES[name]


@pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")
def test_commands_of_the_documentation_can_be_given(parse: Callable[[str, str], None]):
    found = [
        (page, command)
        for page, command in commands("python -m")
        if "..." not in command and (len(words(command)) > 2 or command in lines(PAGES[page]))
    ]
    assert len(found) > 30
    for page, command in found:
        parse(page, command)


def test_estimates_of_the_documentation_can_be_made():
    made = [command for _, command in commands("python -m w2dual estimate") if "--" in command]
    assert made
    for command in made:
        args = parser("estimate", "").parse_args(words(command)[1:])
        if not args.runs and not args.assume_method:
            asked = Asked(device=args.device, costs=ROOT / "reference" / "costs.csv")
            assert "hours" in text(config_files(args), asked)[0], command


# ---------------------------------------------------------------- words


def test_the_page_of_jobs_names_each_error_that_status_shows():
    source = ROOT / "src" / "w2dual" / "evaluation"
    text = "".join(path.read_text("utf-8") for path in sorted(source.rglob("*.py")))
    named = set(re.findall(r'Headline\("\w+", "([^"]+)"\)', text))
    assert len(named) > 3
    assert [name for name in sorted(named) if f"`{name}`" not in PAGES["docs/jobs.md"]] == []
