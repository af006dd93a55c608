"""What can change a job's result: the modules that it imports, and one digest of what they say.

Read from the modules' text. Nothing is imported, so it is quick, and imports within functions
count, and so do all modules that a package says it imports (`EVERY`). What else is imported by a
name that is known only at run time, as the module of a kind is, must be given. Comments, docstrings
and blank lines do not enter the digest; files of data that a module names do. Pure standard
library.
"""

from __future__ import annotations

import ast
import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

PACKAGE = Path(__file__).parent
_SHARED = ("__init__", "base")
EVERY = "EVERY"
"""Constant of a package that imports all its modules which define a name: that name."""


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
    return sorted(_contents(modules, package))


def _contents(modules: Iterable[str], package: Path) -> dict[str, str]:
    """Return the files of a closure, each with the SHA-256 of what it says."""
    found: dict[str, str] = {}
    waiting: list[str] = []
    met: set[str] = set()

    def meet(name: str) -> None:
        while name and name not in met:  # most names are imported by many modules
            met.add(name)
            waiting.append(name)
            name = name.rpartition(".")[0]

    for name in modules:
        full = f"{package.name}.{name}" if name else package.name
        if _file(full, package) is None:
            raise ValueError(f"{full}: no such module in {package}")
        meet(full)
    leaves: set[str] = set()  # names that have no folder, and so no modules below them
    while waiting:
        name = waiting.pop()
        if name.rpartition(".")[0] in leaves:
            leaves.add(name)
            continue
        path = _file(name, package)
        if path is None or path.name != "__init__.py":
            if not os.path.isdir(_place(name, package)):
                leaves.add(name)
        if path is None:
            continue
        state = path.stat()
        read = _reads(path, state.st_mtime_ns, state.st_size, name, package)
        found[path.relative_to(package.parent).as_posix()] = read.sha256
        for target in read.targets:
            meet(target)
        if read.every:
            for member in _modules_with(path.parent, read.every):
                meet(f"{name}.{member}")
        for file in read.data:
            state = (path := package.parent / file).stat()
            found[file] = _sha256(path, state.st_mtime_ns, state.st_size)
    return found


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
    return _modules_with(package.joinpath(*room.split(".")), function)


def every(room: str, package: Path = PACKAGE) -> list[str]:
    """Return the modules of a package that imports all which define what its `EVERY` names, sorted.

    A digest of what imports such a package, whose `__init__.py` has that line, is of all of them.

    Args:
        room: a package within the package, such as `config.systems`.
        package: its folder.

    Raises:
        ValueError: it has no such line.
    """
    name = constant(room, EVERY, package)
    if not isinstance(name, str):
        raise ValueError(f"{package.name}.{room}: expected a line `{EVERY} = NAME`, written out")
    return modules_with(room, name, package)


def _modules_with(folder: Path, name: str) -> list[str]:
    found = []
    for path in sorted(folder.glob("*.py")):
        state = path.stat()
        if path.stem not in _SHARED and name in _defines(path, state.st_mtime_ns, state.st_size):
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
    for name, sha256 in sorted(_contents(modules, package).items()):
        total.update(f"{name} {sha256}\n".encode())
    return total.hexdigest()[:16]


def spoken(text: str, tree: ast.Module | None = None) -> str:
    """Return what Python is told by a text: without comments, docstrings and blank lines.

    Docstrings are all statements that are a string and nothing else. Text that is not Python is
    returned as it is. Comments stay where a string of another kind may hold them: behind an
    f-string in its line, and all in a file with one of several lines.

    Args:
        text: of a module.
        tree: that of the text, if it is at hand.
    """
    try:
        tree = ast.parse(text) if tree is None else tree
    except (SyntaxError, ValueError):
        return text
    lines = text.split("\n")
    unsaid: list[tuple[int, int, int, int]] = []  # first line, its column, last line, its column
    for node in _run(tree, typed=False):
        if isinstance(node, ast.Expr) and _is_text(node.value):
            last, end = node.end_lineno or 0, node.end_col_offset or 0
            begin = _column(lines[node.lineno - 1], node.col_offset)
            unsaid.append((node.lineno, begin, last, _column(lines[last - 1], end)))
    ends = {(last, end) for _, _, last, end in unsaid}
    literal: set[int] = set()  # lines in a string, where blanks mean something
    nested = _NESTED.search(text) is not None
    row, at, begins = 1, 0, 0  # where a line begins
    for match in _STRING_OR_COMMENT.finditer(text):
        start, end = match.span()
        row += text.count("\n", at, start)
        begins = max(begins, text.rfind("\n", at, start) + 1)
        at = start
        if text[start] == "#":
            if not nested and not _F_STRING.search(text, begins, start):
                unsaid.append((row, start - begins, row, end - begins))
        elif "\n" in match[0]:
            last = row + match[0].count("\n")
            if (last, end - text.rfind("\n", start, end) - 1) not in ends:
                literal |= set(range(row, last + 1))
    for row, begin, last, end in sorted(unsaid, reverse=True):
        rest = lines[last - 1][end:]
        lines[row - 1 : last] = [lines[row - 1][:begin] + rest, *[""] * (last - row)]
    kept = (
        line if number in literal else line.rstrip() for number, line in enumerate(lines, start=1)
    )
    return "\n".join(line for number, line in enumerate(kept, 1) if line or number in literal)


# Of the strings that a nesting f-string (Python 3.12) holds, `spoken` takes none for a comment.
_STRING_OR_COMMENT = re.compile(
    r"""\#[^\n]*"""
    r"""|'''[^\\']*(?:(?:\\.|'(?!''))[^\\']*)*'''"""
    r"""|\"\"\"[^\\"]*(?:(?:\\.|"(?!""))[^\\"]*)*\"\"\""""
    r"""|'[^\\'\n]*(?:\\.[^\\'\n]*)*'"""
    r"""|"[^\\"\n]*(?:\\.[^\\"\n]*)*\"""",
    re.DOTALL,
)
_F_STRING = re.compile(r"""\b(?:[fFtT][rR]?|[rR][fFtT])["']""")
_NESTED = re.compile(r"""\b(?:[fFtT][rR]?|[rR][fFtT])(?:\"{3}|'{3})""")


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _column(line: str, offset: int) -> int:
    """Return the place in a line of a place in its UTF-8 bytes."""
    return offset if line.isascii() else len(line.encode()[:offset].decode())


@cache
def _sha256(path: Path, mtime_ns: int, size: int) -> str:
    """Return the SHA-256 of the bytes of a file of data."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _file(name: str, package: Path) -> Path | None:
    """Return the file of a module by its full name: of the package, or next to it in a checkout."""
    top = name.partition(".")[0]
    if top != package.name and not _is_checkout(package):
        return None
    base = _place(name, package)
    for path in (f"{base}/__init__.py", f"{base}.py"):
        if os.path.isfile(path):
            return Path(path)
    return None


def _place(name: str, package: Path) -> str:
    """Return the path of a module without a suffix, as text: a plan asks many thousand times."""
    return f"{_parent(package)}/{name.replace('.', '/')}"


@cache
def _parent(package: Path) -> str:
    return str(package.parent)


@cache
def _is_checkout(package: Path) -> bool:
    """Return whether the folder around the package is a project's `src`, not a site-packages."""
    return (package.parent.parent / "pyproject.toml").is_file()


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


class _Read(NamedTuple):
    """What is read of a module.

    Attributes:
        targets: full names that it imports, some of which may not be modules.
        data: files of data that it names, relative to the package's parent.
        sha256: of its code, as `spoken`; of its bytes, where it is not Python.
        every: of a package that imports all its modules which define a name: that name.
    """

    targets: tuple[str, ...]
    data: tuple[str, ...]
    sha256: str
    every: str = ""


@cache
def _reads(path: Path, mtime_ns: int, size: int, name: str, package: Path) -> _Read:
    """Read a module.

    Args:
        path: the file.
        mtime_ns: when it was written, and ...
        size: ... its size, so that a changed file is read again.
        name: of the module.
        package: folder of the package.
    """
    content = path.read_bytes()
    try:
        tree = ast.parse(content, str(path))
    except (SyntaxError, ValueError):
        return _Read((), (), hashlib.sha256(content).hexdigest())
    here = name if path.name == "__init__.py" else name.rpartition(".")[0]
    targets = set(_targets(tree, here, typed=b"TYPE_CHECKING" in content))
    data = _data(content, tree, path, package)
    try:
        said = spoken(content.decode(), tree).encode()
    except UnicodeDecodeError:
        said = content
    every = ""
    if path.name == "__init__.py":
        named = _assigned(path, mtime_ns, size).get(EVERY)
        every = ast.literal_eval(named) if named is not None else ""
    return _Read(tuple(targets), tuple(data), hashlib.sha256(said).hexdigest(), every)


def _data(content: bytes, tree: ast.AST, path: Path, package: Path) -> set[str]:
    """Return the package's files of data that a module names, from its own folder or the package.

    A name is a string in one piece, with a suffix: `git-blobs.csv`, `templates/evaluation.tex`.
    """
    named: dict[str, set[str]] = {}
    for words in {match.decode() for match in _LIKE_A_FILE.findall(content)}:
        for folder in (path.parent, package):
            file = folder / words
            inside = file.suffix not in ("", ".py") and file.is_file()
            if inside and file.resolve().is_relative_to(package.resolve()):
                named.setdefault(words, set()).add(file.relative_to(package.parent).as_posix())
    if not named:  # of most modules; to walk all expressions takes longer
        return set()
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    return {file for words, files in named.items() if words in texts for file in files}


_LIKE_A_FILE = re.compile(rb"""(?<=["'])[A-Za-z0-9_./-]+\.[A-Za-z0-9_./-]+(?=["'])""")


def _targets(tree: ast.Module, here: str, typed: bool) -> Iterator[str]:
    for node in _run(tree, typed):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        elif isinstance(node, ast.ImportFrom):
            source = _source(node, here)
            if source:
                yield source
                # Each may be a module or a name in one; `_file` tells.
                yield from (f"{source}.{alias.name}" for alias in node.names)


def _run(tree: ast.Module, typed: bool) -> Iterator[ast.AST]:
    """Walk the statements that run: not those that are there for type checkers alone.

    Args:
        tree: of a module.
        typed: whether it has some of these.
    """
    waiting: list[ast.AST] = [*tree.body]
    while waiting:
        node = waiting.pop()
        yield node
        if typed and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting += node.orelse
        else:  # only statements import
            waiting += [inner for block in _BLOCKS for inner in getattr(node, block, ())]


_BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")
"""Fields of a statement, of an `except` or of a `case` that hold such."""


def _source(node: ast.ImportFrom, here: str) -> str:
    """Return the full name that `from ... import` imports from."""
    module = node.module or ""
    if node.level == 0:
        return module
    parts = here.split(".")
    base = parts[: len(parts) - (node.level - 1)]
    return ".".join([*base, *([module] if module else [])])
