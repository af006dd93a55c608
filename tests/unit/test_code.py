"""What a module imports, read from its text; and that rules depend on what their jobs import."""

import ast
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from w2dual import code

ROOT = Path(__file__).parents[2]


# ---------------------------------------------------------------- the closure


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "pack"
    files = {
        "__init__.py": "",
        "top.py": "import os, packing\nfrom pack import middle, __doc__\n",
        "middle.py": "def f():\n    from .inner.leaf import thing\n    import pack.lazy\n",
        "inner/__init__.py": "from . import shared\n",
        "inner/leaf.py": "from ..side import x\nthing = 1\n",
        "inner/shared.py": "",
        "inner/other.py": "",
        "side.py": "import typing\nif typing.TYPE_CHECKING:\n    from pack import unseen\n",
        "lazy.py": "import pack.top\n",
        "unseen.py": "",
        "alone.py": "",
        "wrong.py": "from pack import alone\n(",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize(
    ("modules", "files"),
    [
        (["alone"], ["__init__.py", "alone.py"]),
        (["inner"], ["__init__.py", "inner/__init__.py", "inner/shared.py"]),
        (
            ["top"],
            ["__init__.py", "inner/__init__.py", "inner/leaf.py", "inner/shared.py"]
            + ["lazy.py", "middle.py", "side.py", "top.py"],
        ),
        (["wrong"], ["__init__.py", "wrong.py"]),
        (["alone", "unseen"], ["__init__.py", "alone.py", "unseen.py"]),
    ],
)
def test_closure(package: Path, modules: list[str], files: list[str]):
    assert code.closure(modules, package) == files


def test_an_import_that_is_added_is_seen(package: Path):
    (package / "alone.py").write_text("import pack.unseen\n")
    assert "unseen.py" in code.closure(["alone"], package)


def test_a_module_that_is_not_there(package: Path):
    with pytest.raises(ValueError, match=r"pack\.nowhere: there is no such module"):
        code.closure(["nowhere"], package)


def test_the_hash_covers_names_and_contents(package: Path):
    found = code.sha256(["alone.py", "side.py"], package)
    assert found == code.sha256(["side.py", "alone.py"], package)
    assert found != code.sha256(["alone.py", "unseen.py"], package)
    (package / "alone.py").write_text("\n")
    assert found != code.sha256(["alone.py", "side.py"], package)


# ---------------------------------------------------------------- the rules


@dataclass(frozen=True)
class Rule:
    """A rule that runs a job: where its list of files is, and what it takes."""

    name: str
    stage: str
    job: str
    of_cells: bool  # files of the cells' kinds are inputs too
    trained: bool  # made from trained cells, so that it runs again when these do

    @property
    def module(self) -> str:
        return f"jobs.{self.job.replace('-', '_')}"


def rules() -> list[Rule]:
    found = []
    for path in sorted((ROOT / "rules").glob("*.smk")):
        text = path.read_text(encoding="utf-8")
        for name, body in re.findall(r"^rule (\w+):\n(.*?)(?=^\S|\Z)", text, re.M | re.S):
            job = re.search(r"python -m w2dual ([\w-]+)", body)
            if job:
                stage = re.search(r'code\("(\w+)"', body)
                assert stage, f"rule {name}: takes no files of the package"
                trained = "results/train/" in body or "rules.train." in body
                trained |= "rules.conjugation_study" in body or "bundled()" in body
                of_cells = "code_of_cells(" in body
                trained &= name != "train"
                found.append(Rule(name, stage[1], job[1], of_cells, trained))
    return found


def lists() -> dict[str, list[str]]:
    """The rules' lists, as rules/common.smk has them."""
    text = (ROOT / "rules" / "common.smk").read_text(encoding="utf-8")
    blocks = re.findall(r"^(?:CODE = \{|_CONJUGATES = \[|CODE \|= \{).*?^[\]}]$", text, re.M | re.S)
    assert len(blocks) == 3
    names: dict[str, dict[str, list[str]]] = {}
    exec("\n".join(blocks), names)  # noqa: S102
    return names["CODE"]


def listed(patterns: list[str]) -> set[str]:
    found: set[str] = set()
    for pattern in patterns:
        files = code.PACKAGE.glob(pattern.removeprefix("!"))
        names = {path.relative_to(code.PACKAGE).as_posix() for path in files}
        assert names, pattern
        found = found - names if pattern.startswith("!") else found | names
    return found


RULES = rules()
LISTS = lists()
FIGURES = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))["synthetic"]["figures"]
OF_CELLS = {
    "activations.py",
    "conjugate/__init__.py",
    "conjugate/base.py",
    "conjugate/costs/__init__.py",
    "conjugate/costs/base.py",
    "conjugate/costs/inner_product.py",
    "methods/__init__.py",
    "methods/base.py",
    "potentials/__init__.py",
    "amortization/__init__.py",
}
"""What `code_of_cells` gives for any cell."""

ANY = "*"
LEFT_OUT = {  # file -> which rules leave it out, and why
    "__init__.py": (ANY, "the version's number"),
    "jobs/dispatch.py": (ANY, "finds the job and its options, and settles the environment for it"),
    "jobs/options.py": (ANY, "declares options, whose values are parameters of the rules"),
    "subcommands.py": (ANY, "says what the jobs are for"),
    "records.py": (ANY, "reads and writes files, whose formats have numbers"),
    "seeds.py": (ANY, "refuses what is no seed"),
    "cells.py": (ANY, "the cells are parameters of the rules"),
    "config.py": (ANY, "the config's values are parameters of the rules"),
    "strict_yaml.py": (ANY, "refuses what is no config"),
    "places.py": (ANY, "where weights lie does not decide what is in them"),
    "code.py": (ANY, "which checkpoints can be used moves no number"),
    "attempts.py": (ANY, "notes when a job began"),
    "status.py": (ANY, "shows how far a job is"),
    "stopping.py": (ANY, "ends training between two chunks, which moves no number"),
    "measures/benchmark_files.py": ("train", "how a pair came about is settled once it is there"),
}
LISTED_ALL_THE_SAME = {"hyperparameters": {"cells.py", "config.py"}}
"""Rules for which a file counts that others leave out: it says what the settings mean."""


def imported(rule: Rule, figure: str = "") -> set[str]:
    modules = [rule.module] + ([f"plots.{figure}"] if figure else [])
    files = set(code.closure(modules))
    # A package that is a docstring and nothing else moves nothing.
    return {name for name in files if not _says_nothing(code.PACKAGE / name)}


def _says_nothing(path: Path) -> bool:
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return all(isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant) for n in body)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_depends_on_what_its_job_imports(rule: Rule):
    """An edit that can change a result makes it again."""
    for figure in FIGURES if rule.stage == "figure" else [""]:
        known = listed([pattern.format(name=figure) for pattern in LISTS[rule.stage]])
        known |= OF_CELLS if rule.of_cells else set()
        if rule.trained:  # an edit there trains the cells again, and so this rule runs again
            known |= listed(LISTS["train"]) | OF_CELLS
        left_out = {name for name, (where, _) in LEFT_OUT.items() if where in (ANY, rule.name)}
        if rule.trained:
            left_out |= {name for name, (where, _) in LEFT_OUT.items() if where == "train"}
        left_out -= LISTED_ALL_THE_SAME.get(rule.name, set())
        assert imported(rule, figure) - known - left_out == set()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_that_takes_long_depends_on_nothing_else(rule: Rule):
    if rule.name in ("prepare", "train", "trivial"):
        modules = {name for name in listed(LISTS[rule.stage]) if name.endswith(".py")}
        assert modules <= set(code.closure([rule.module]))


def test_the_lists_and_the_exceptions_are_all_of_use():
    assert LISTS.keys() == {rule.stage for rule in RULES}
    everything = {name for rule in RULES for name in imported(rule)}
    assert LEFT_OUT.keys() <= everything


@pytest.mark.parametrize(
    ("stage", "files"),
    [
        ("train", {"progress.py", "provenance.py", "environment.py"}),
        ("hyperparameters", {"config.py"}),
        ("bundle", {"provenance.py"}),
        ("conjugation_study", {"provenance.py"}),
        ("line_search", {"provenance.py", "studies/conjugation.py"}),
        ("prepare", {"environment.py"}),
        ("trivial", {"environment.py"}),
    ],
)
def test_files_that_were_missing_once(stage: str, files: set[str]):
    assert files <= listed(LISTS[stage])
