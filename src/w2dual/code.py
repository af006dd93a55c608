"""Which modules of the package a module imports, directly or through others, read from their text.

Nothing is imported for it, so that it is quick, and so that imports within functions count. What
is imported by a name that is only known at run time, as the module of a kind is, must be given.
Pure standard library.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent


def closure(modules: Iterable[str], package: Path = PACKAGE) -> list[str]:
    """Return the files that some modules and all that they import lie in, sorted.

    Args:
        modules: names within the package, such as `training` or `conjugate.lbfgs`.
        package: its folder.

    Returns:
        Paths relative to the package, such as `conjugate/lbfgs.py`. Packages on the way to a module
        count, since Python imports them first.

    A file that is no Python imports nothing: whoever runs it will be told.

    Raises:
        ValueError: there is no such module.
    """
    found: set[str] = set()
    waiting: list[str] = []
    for name in modules:
        if not exists(name, package):
            raise ValueError(f"{package.name}.{name}: there is no such module in {package}")
        waiting.append(name)
    while waiting:
        name = waiting.pop()
        path = _file(name, package)
        if path is None or (inside := path.relative_to(package).as_posix()) in found:
            continue
        found.add(inside)
        waiting += _parents(name)
        state = path.stat()
        for target in _imports(path, state.st_mtime_ns, state.st_size, package.name, name):
            waiting += [target, *_parents(target)]
    return sorted(found)


def exists(module: str, package: Path = PACKAGE) -> bool:
    """Return whether there is a module of a name within the package."""
    return _file(module, package) is not None


def sha256(files: Iterable[str], package: Path = PACKAGE) -> str:
    """Return one SHA-256 of files of the package: of their names and contents."""
    digest = hashlib.sha256()
    for name in sorted(files):
        content = hashlib.sha256((package / name).read_bytes()).hexdigest()
        digest.update(f"{name} {content}\n".encode())
    return digest.hexdigest()


def _file(name: str, package: Path) -> Path | None:
    """Return the file of a module by its name within the package, whose own name is empty."""
    base = package.joinpath(*name.split(".")) if name else package
    for path in (base / "__init__.py", base.with_suffix(".py")):
        if path.is_file() and path != package.with_suffix(".py"):
            return path
    return None


def _parents(name: str) -> list[str]:
    """Return the packages that a module lies in, the outermost as the empty name."""
    parts = name.split(".")
    return [".".join(parts[:count]) for count in range(len(parts))] if name else []


@cache
def _imports(path: Path, mtime_ns: int, size: int, package: str, name: str) -> tuple[str, ...]:
    """Return the names within the package that a file imports; some may be no modules.

    Args:
        path: the file.
        mtime_ns: when it was written, and ...
        size: ... its size, so that a changed file is read again.
        package: the package's own name.
        name: of the module within it.
    """
    try:
        tree = ast.parse(path.read_bytes(), str(path))
    except (SyntaxError, ValueError):
        return ()
    here = name if path.name == "__init__.py" else name.rpartition(".")[0]
    return tuple(sorted(set(_targets(tree, package, here))))


def _targets(tree: ast.AST, package: str, here: str) -> Iterator[str]:
    for node in _run(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name == package or alias.name.startswith(package + "."):
                    yield alias.name[len(package) + 1 :]
        elif isinstance(node, ast.ImportFrom):
            source = _source(node, package, here)
            if source is not None:
                yield source
                # Each may be a module or a name in one; `_file` tells.
                yield from (f"{source}.{alias.name}".lstrip(".") for alias in node.names)


def _run(tree: ast.AST) -> Iterator[ast.AST]:
    """Walk what runs: not what is there for type checkers alone."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        children = list(ast.iter_child_nodes(node))
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            children = list(node.orelse)
        waiting += children


def _source(node: ast.ImportFrom, package: str, here: str) -> str | None:
    """Return the name within the package that `from ... import` imports from; None if elsewhere."""
    module = node.module or ""
    if node.level == 0:
        if module != package and not module.startswith(package + "."):
            return None
        return module[len(package) + 1 :]
    parts = here.split(".") if here else []
    base = parts[: len(parts) - (node.level - 1)]
    return ".".join([*base, *([module] if module else [])])
