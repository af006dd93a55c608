"""What can change a job's result: the modules that it imports, and one digest of what they say.

Read from the modules' text. Nothing is imported, so it is quick, and imports within functions
count. What is imported by a name that is known only at run time, as the module of a kind is, must
be given. Comments, docstrings and blank lines do not enter the digest; files of data that a module
names do. Pure standard library.
"""

from __future__ import annotations

import ast
import hashlib
import io
import tokenize
from collections.abc import Iterable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parent
_SHARED = ("__init__", "base")


def closure(modules: Iterable[str], package: Path = PACKAGE) -> list[str]:
    """Return the files that some modules and all that they import lie in, sorted.

    Args:
        modules: names within the package, such as `training.run` or `conjugate.lbfgs`.
        package: its folder.

    Returns:
        Paths relative to the package's parent, such as `w2dual/conjugate/lbfgs.py`. Packages on the
        way to a module count, since Python imports them first. So do modules next to the package in
        a checkout's `src/`, where a user may keep some, and files of data that a module names.

    A file that is not Python imports nothing: whoever runs it will be told.

    Raises:
        ValueError: there is no such module.
    """
    found: set[str] = set()
    waiting: list[str] = []
    file = cache(partial(_file, package=package))  # most names are imported by many modules
    for name in modules:
        full = f"{package.name}.{name}" if name else package.name
        if file(full) is None:
            raise ValueError(f"{full}: no such module in {package}")
        waiting.append(full)
    while waiting:
        name = waiting.pop()
        path = file(name)
        if path is None or (inside := path.relative_to(package.parent).as_posix()) in found:
            continue
        found.add(inside)
        waiting += _parents(name)
        state = path.stat()
        targets, data = _reads(path, state.st_mtime_ns, state.st_size, name, package)
        found |= set(data)
        for target in targets:
            waiting += [target, *_parents(target)]
    return sorted(found)


def exists(module: str, package: Path = PACKAGE) -> bool:
    """Return whether there is a module of a name within the package."""
    return _file(f"{package.name}.{module}", package) is not None


def modules_with(room: str, function: str, package: Path = PACKAGE) -> list[str]:
    """Return the modules of a room that define a function, sorted: the kinds of something.

    `base`, which holds what kinds share, is not one of them.

    Args:
        room: a package within the package, such as `potentials`.
        function: what a module of a kind has at its top level, such as `make`.
        package: its folder.
    """
    folder = package.joinpath(*room.split("."))
    found = []
    for path in sorted(folder.glob("*.py")):
        state = path.stat()
        if path.stem not in _SHARED and function in _defines(
            path, state.st_mtime_ns, state.st_size
        ):
            found.append(path.stem)
    return found


def constant(module: str, name: str, package: Path = PACKAGE) -> Any:
    """Return what a module assigns to a name at its top level, read from its text.

    Args:
        module: name within the package, such as `training.methods.dual`.
        name: of the constant.
        package: its folder.

    Returns:
        A text, number, tuple, list or the like; None where the module does not assign the name, is
        not Python, or is not there.

    Raises:
        ValueError: what is assigned is computed, and not written out.
    """
    path = _file(f"{package.name}.{module}", package)
    if path is None:
        return None
    state = path.stat()
    value = _assigned(path, state.st_mtime_ns, state.st_size).get(name)
    return None if value is None else ast.literal_eval(value)


def digest(modules: Iterable[str], package: Path = PACKAGE) -> str:
    """Return 16 hexadecimal digits: of the names and the code of the files of a closure.

    Raises:
        ValueError: as for `closure`.
    """
    total = hashlib.sha256()
    for name in closure(modules, package):
        path = package.parent / name
        state = path.stat()
        total.update(f"{name} {_sha256(path, state.st_mtime_ns, state.st_size)}\n".encode())
    return total.hexdigest()[:16]


def spoken(text: str) -> str:
    """Return what Python is told by a text: without comments, docstrings and blank lines.

    Docstrings are all statements that are a string and nothing else. Text that is not Python is
    returned as it is.
    """
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    except (tokenize.TokenError, SyntaxError):
        return text
    lines = text.splitlines()
    literal: set[int] = set()  # lines in a string, where blanks mean something
    unsaid: list[tokenize.TokenInfo] = []
    begins = True  # a statement begins with the next token
    for token, after in zip(tokens, [*tokens[1:], tokens[-1]], strict=True):
        if token.type == tokenize.COMMENT:
            unsaid.append(token)
        elif token.type == tokenize.STRING and begins and after.type in _ENDS:
            unsaid.append(token)
        elif token.start[0] != token.end[0] and token.type not in _LAYOUT:
            literal |= set(range(token.start[0], token.end[0] + 1))
        begins = token.type in _LAYOUT or (begins and token.type in _SILENT)
    for token in reversed(unsaid):
        (row, begin), (last, end) = token.start, token.end
        rest = lines[last - 1][end:]
        lines[row - 1 : last] = [lines[row - 1][:begin] + rest, *[""] * (last - row)]
    kept = (
        line if number in literal else line.rstrip() for number, line in enumerate(lines, start=1)
    )
    return "\n".join(line for number, line in enumerate(kept, 1) if line or number in literal)


_LAYOUT = frozenset({tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT})
_SILENT = frozenset({tokenize.COMMENT, tokenize.NL})
_ENDS = frozenset({tokenize.NEWLINE, tokenize.COMMENT, tokenize.ENDMARKER})


@cache
def _sha256(path: Path, mtime_ns: int, size: int) -> str:
    """Return the SHA-256 of a file's code, or of its bytes where it is data."""
    content = path.read_bytes()
    if path.suffix == ".py":
        try:
            content = spoken(content.decode()).encode()
        except UnicodeDecodeError:
            pass
    return hashlib.sha256(content).hexdigest()


def _file(name: str, package: Path) -> Path | None:
    """Return the file of a module by its full name: of the package, or next to it in a checkout."""
    top = name.partition(".")[0]
    if top != package.name and not _is_checkout(package):
        return None
    base = package.parent.joinpath(*name.split("."))
    for path in (base / "__init__.py", base.with_suffix(".py")):
        if path.is_file():
            return path
    return None


@cache
def _is_checkout(package: Path) -> bool:
    """Return whether the folder around the package is a project's `src`, not a site-packages."""
    return (package.parent.parent / "pyproject.toml").is_file()


def _parents(name: str) -> list[str]:
    """Return the packages that a module lies in, the outermost first."""
    parts = name.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts))]


@cache
def _assigned(path: Path, mtime_ns: int, size: int) -> dict[str, ast.expr]:
    """Return what a file assigns to names at its top level; nothing, where it is not Python."""
    try:
        tree = ast.parse(path.read_bytes(), str(path))
    except (SyntaxError, ValueError):
        return {}
    found: dict[str, ast.expr] = {}
    for node in tree.body:
        if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
            continue
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            if isinstance(target, ast.Name):
                found[target.id] = node.value
    return found


@cache
def _defines(path: Path, mtime_ns: int, size: int) -> frozenset[str]:
    """Return what a module defines or imports at its top level; all, where it is not Python."""
    try:
        tree = ast.parse(path.read_bytes(), str(path))
    except (SyntaxError, ValueError):
        return _Everything()
    names = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return frozenset(names)


class _Everything(frozenset[str]):
    """What a broken module may define: whoever loads it is told what is wrong with it."""

    def __contains__(self, name: object) -> bool:
        return True


@cache
def _reads(
    path: Path, mtime_ns: int, size: int, name: str, package: Path
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the full names that a file imports, some of which may not be modules, and its data.

    Args:
        path: the file.
        mtime_ns: when it was written, and ...
        size: ... its size, so that a changed file is read again.
        name: of the module.
        package: folder of the package.
    """
    try:
        tree = ast.parse(path.read_bytes(), str(path))
    except (SyntaxError, ValueError):
        return (), ()
    here = name if path.name == "__init__.py" else name.rpartition(".")[0]
    return tuple(sorted(set(_targets(tree, here)))), tuple(sorted(_data(tree, path, package)))


def _data(tree: ast.AST, path: Path, package: Path) -> set[str]:
    """Return the package's files of data that a module names, from its own folder or the package.

    A name is a string with a suffix, such as `git-blobs.csv` or `templates/evaluation.tex`.
    """
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            words = node.value
            if not 2 < len(words) < 100 or not _LIKE_A_FILE.issuperset(words) or "." not in words:
                continue
            for folder in (path.parent, package):
                file = folder / words
                inside = file.suffix not in ("", ".py") and file.is_file()
                if inside and file.resolve().is_relative_to(package.resolve()):
                    found.add(file.relative_to(package.parent).as_posix())
    return found


_LIKE_A_FILE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./")


def _targets(tree: ast.AST, here: str) -> Iterator[str]:
    for node in _run(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        elif isinstance(node, ast.ImportFrom):
            source = _source(node, here)
            if source:
                yield source
                # Each may be a module or a name in one; `_file` tells.
                yield from (f"{source}.{alias.name}" for alias in node.names)


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


def _source(node: ast.ImportFrom, here: str) -> str:
    """Return the full name that `from ... import` imports from."""
    module = node.module or ""
    if node.level == 0:
        return module
    parts = here.split(".")
    base = parts[: len(parts) - (node.level - 1)]
    return ".".join([*base, *([module] if module else [])])
