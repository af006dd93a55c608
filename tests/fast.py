"""Which test files are fast, since they hand JAX nothing to compile; and which take longest."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
COMPILED = frozenset({"equinox", "flax", "jax", "jaxopt", "optax", "optimistix", "ott"})
"""What a file imports that hands arrays to JAX itself."""

FIRST = (
    *("workflow/test_smoke.py", "workflow", "unit/archive/test_verify.py"),
    *("unit/training", "unit/conjugate"),
)
"""What takes longest comes first: a worker that has one of these at the end is waited for."""


@cache
def compiles(path: Path) -> bool:
    """Return whether a test file, or a module of `tests` that it imports, imports JAX.

    Imports count wherever in a file they are. Those of the package do not: most of it imports JAX,
    and a test of its errors, texts and files runs none of that.
    """
    return any(
        name.partition(".")[0] in COMPILED or any(map(compiles, _of_tests(name, path)))
        for name in _imports(path)
    )


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_bytes(), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = f"{'.' * node.level}{node.module or ''}"
            yield source
            between = "." if node.module else ""
            # Each may be a module of that folder.
            yield from (f"{source}{between}{alias.name}" for alias in node.names)


def _of_tests(name: str, path: Path) -> list[Path]:
    """Return the file of `tests` that a name means, if it means one."""
    level = len(name) - len(name.lstrip("."))
    folder = path.parents[level - 1] if level else ROOT
    file = folder.joinpath(*name[level:].split(".")).with_suffix(".py")
    return [file] if file.is_file() and file.is_relative_to(ROOT / "tests") else []
