"""What pyproject.toml says the package needs is what it imports, and what it ships is there."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def imported() -> dict[str, set[str]]:
    """Top-level names of others that files of the package import, within functions too."""
    found: dict[str, set[str]] = {}
    for path in sorted(SOURCE.rglob("*.py")):
        for name in _names(ast.parse(path.read_text(encoding="utf-8"))):
            top = name.partition(".")[0]
            if top not in sys.stdlib_module_names and top != "w2dual":
                found.setdefault(top, set()).add(path.relative_to(SOURCE).as_posix())
    return found


def _names(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module or ""


def canonical(requirement: str) -> str:
    """The name of a requirement as registries compare it."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\s<>=!~;\[]", requirement, maxsplit=1)[0]).lower()


def required() -> set[str]:
    return {canonical(text) for text in PROJECT["project"]["dependencies"]}


def test_closure_are_what_is_imported() -> None:
    distributions = packages_distributions()
    names = {canonical(distributions[top][0]) for top in imported()}
    workflow = PROJECT["project"]["optional-dependencies"]["workflow"]
    assert not required() & {canonical(text) for text in workflow}
    assert names == required() | {canonical(text) for text in workflow}


def test_what_the_workflow_alone_needs_is_imported_by_what_the_snakefile_calls() -> None:
    assert imported()["snakemake"] == {"w2dual/config/files.py"}


def test_environments_have_what_the_package_needs() -> None:
    lines = (ROOT / "envs" / "cpu.in").read_text(encoding="utf-8").splitlines()
    asked = {canonical(line) for line in lines if line and not line.startswith("#")}
    assert required() <= asked
    # packaging holds a version back, for snakemake.
    assert asked - required() == {"packaging"}
    for name in ("cpu", "cuda12", "cuda13"):
        text = (ROOT / "envs" / f"{name}.txt").read_text(encoding="utf-8")
        pinned = {canonical(line) for line in text.splitlines() if re.match(r"[a-z].*==", line)}
        assert required() <= pinned, name


def test_what_is_shipped_is_in_the_checkout() -> None:
    from w2dual.archive.steps import PUBLISHED
    from w2dual.cluster.costs import COSTS
    from w2dual.config import places

    shipped = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    names = (places.CONFIG, COSTS, PUBLISHED)
    wanted = {str(name): f"w2dual/shipped/{name}" for name in names}
    assert shipped == wanted
    assert places.SHIPPED == SOURCE / "w2dual" / "shipped"
    for name in shipped:
        assert (ROOT / name).exists()
    assert not places.SHIPPED.exists()  # in a checkout there is one copy of each


def test_types_are_told() -> None:
    assert (SOURCE / "w2dual" / "py.typed").is_file()
    assert "Typing :: Typed" in PROJECT["project"]["classifiers"]
