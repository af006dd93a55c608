"""YAML that means what is written: a value whose text a reader would change is an error.

Snakemake reads YAML 1.1, in which 24:00:00 is 86400, 010 is 8, `no` is false and 1e5 is text. What
was written cannot be told from the value any more, so it is judged before there is one: each scalar
by its text, with its file and line. What passes is read by PyYAML as ever.
"""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from w2dual.records import InputError

_TAG = "tag:yaml.org,2002:"
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")
_TRUTH = re.compile(r"true|false", re.IGNORECASE)
_NUMBER_ELSEWHERE = re.compile(
    r"[-+]?([0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)[eE][-+]?[0-9_]+"  # a number to JSON and Python
    r"|[-+]?0[0-9_]+|[-+]?0[oO][0-7_]+"  # 08, and octal as YAML 1.2 and Python have it
)
"""Text to YAML 1.1, a number to whoever writes it."""
_MAPPING, _SEQUENCE = _TAG + "map", _TAG + "seq"
_MERGE = _TAG + "merge"
_TEMPLATE = "__use_yte__"
LARGEST = 100_000
"""Values in a file, each counted wherever an alias puts it: a few lines can stand for billions."""


class _Dumper(yaml.SafeDumper):
    """Puts text that looks like a number in quotes, so that `parse` takes it."""


_Dumper.add_implicit_resolver("!number", _NUMBER_ELSEWHERE, list("-+.0123456789"))


def dump(value: Any) -> str:
    """Return the YAML text of plain data, from which `parse` reads the same, in the same order."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


def load(path: str | Path, flags: bool = False) -> dict[Any, Any]:
    """Read a YAML or JSON file that holds one mapping, or nothing.

    Args:
        path: the file.
        flags: as for `parse`.

    Raises:
        InputError: as for `parse`; or the file cannot be read.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: {error}") from error
    return parse(text, str(path), flags)


def parse(text: str, name: str, flags: bool = False) -> dict[Any, Any]:
    """Read a text that holds one YAML mapping, or nothing.

    Args:
        text: YAML, or JSON.
        name: of the file, for messages.
        flags: whether `yes`, `no`, `on` and `off` are taken as values of top-level keys, as for
            options of a command line.

    Raises:
        InputError: it is not a mapping; a key is not a name or is a duplicate; or a value is read
            as something else than what is written. The message names the line.
    """
    if (text, flags) not in _READ:
        if len(_READ) == _MOST_READ:
            del _READ[next(iter(_READ))]
        _READ[text, flags] = _parsed(text, name, flags)
    return copy.deepcopy(_READ[text, flags])


_READ: dict[tuple[str, bool], dict[Any, Any]] = {}
"""What texts say: the same config is read several times, under several names."""
_MOST_READ = 16


def _parsed(text: str, name: str, flags: bool) -> dict[Any, Any]:
    """Do what `parse` does, whether or not the text has been read before."""
    if text.lstrip().startswith("{"):
        text = text.replace("\t", " ")  # between JSON's tokens; its strings hold none
    loader = None
    try:
        loader = yaml.SafeLoader(text)
        loader.name = name
        node = loader.get_single_node()
        if node is None:
            return {}
        if not isinstance(node, yaml.MappingNode) or node.tag != _MAPPING:
            written = f"{node.value!r:.40}" if isinstance(node, yaml.ScalarNode) else "a list"
            raise InputError(f"{_place(node)}: expected keys with values, not {written}")
        _Check(flags).mapping(node, ())
        if (count := _count(node, {})) > LARGEST:
            raise InputError(f"{name}: holds {count} values by its aliases, at most {LARGEST}")
        return loader.construct_document(node)
    except yaml.YAMLError as error:
        raise InputError(f"{name}: {error}") from error
    except ValueError as error:  # of a scalar, such as a number of too many digits
        raise InputError(f"{name}: {error}") from error
    except RecursionError as error:
        raise InputError(f"{name}: is nested too deeply") from error
    finally:
        if loader is not None:
            loader.dispose()


def check_arguments(arguments: Iterable[str]) -> None:
    """Check values of the command line, KEY=TEXT each, that Snakemake reads as Python's numbers.

    Raises:
        InputError: one is a number to Python, and not written as one is.
    """
    for argument in arguments:
        key, _, text = str(argument).partition("=")
        try:
            value = int(text)
        except ValueError:
            try:
                value = float(text)
            except ValueError:
                continue
        canonical = _INTEGER.fullmatch(text) or _FLOAT.fullmatch(text)
        scientific = _NUMBER_ELSEWHERE.fullmatch(text) and "_" not in text and text[:1] != "0"
        if not (canonical or scientific) or not math.isfinite(value):
            raise InputError(
                f"--config {key}={text}: would be read as {value!r}; write a plain decimal number"
            )


def _place(node: yaml.Node) -> str:
    return f"{node.start_mark.name}, line {node.start_mark.line + 1}"


def _count(node: yaml.Node, known: dict[int, int]) -> int:
    """Count the values below a node that does not hold itself, aliases resolved."""
    if isinstance(node, yaml.ScalarNode):
        return 1
    if id(node) not in known:
        pairs = isinstance(node, yaml.MappingNode)
        parts = [value for _, value in node.value] if pairs else node.value
        known[id(node)] = 1 + sum(_count(part, known) for part in parts)
    return known[id(node)]


class _Check:
    """Walks the nodes of one document."""

    def __init__(self, flags: bool) -> None:
        self.flags = flags
        self.open: set[int] = set()
        self.done: set[int] = set()

    def node(self, node: yaml.Node, path: tuple[str, ...]) -> None:
        if isinstance(node, yaml.ScalarNode):
            self.scalar(node, path)
        elif id(node) in self.open:
            raise InputError(f"{_place(node)}: `{'.'.join(path)}` holds itself")
        elif id(node) not in self.done:  # one that has two names is looked at once
            self.open.add(id(node))
            if isinstance(node, yaml.MappingNode):
                self.mapping(node, path)
            else:
                self.sequence(node, path)
            self.open.remove(id(node))
            self.done.add(id(node))

    def sequence(self, node: yaml.Node, path: tuple[str, ...]) -> None:
        if node.tag != _SEQUENCE:
            self.refuse_tag(node)
        for index, item in enumerate(node.value):
            self.node(item, (*path, str(index)))

    def mapping(self, node: yaml.MappingNode, path: tuple[str, ...]) -> None:
        if node.tag != _MAPPING:
            self.refuse_tag(node)
        self.open.add(id(node))
        lines: dict[str, int] = {}
        for key, value in node.value:
            name = self.key(key)
            line = key.start_mark.line + 1
            if name in lines:
                first = f"; it is in line {lines[name]} too" if lines[name] != line else ""
                raise InputError(f"{_place(key)}: duplicate key `{name}`{first}")
            lines[name] = line
            if not path and name == _TEMPLATE and not self.flags:
                raise InputError(
                    f"{_place(key)}: `{name}`: templates are not filled in; write the values"
                )
            self.node(value, (*path, name))
            if key.tag == _MERGE:
                self.merged(value)

    def merged(self, node: yaml.Node) -> None:
        """Refuse what is merged in where one part of it hides another."""
        if not isinstance(node, yaml.SequenceNode):
            return
        seen: set[str] = set()
        for part in node.value:
            names = {key.value for key, _ in part.value if isinstance(key, yaml.ScalarNode)}
            if hidden := sorted(seen & names):
                raise InputError(
                    f"{_place(node)}: `<<` merges `{hidden[0]}` from two mappings, of which one "
                    "would hide the other; give that key itself, and merge it from one"
                )
            seen |= names

    def key(self, node: yaml.Node) -> str:
        """Check a key, and return its text: JSON's keys are text, so that 2 and "2" are one."""
        if not isinstance(node, yaml.ScalarNode):
            raise InputError(f"{_place(node)}: a list or mapping cannot be a key; expected a name")
        kind = node.tag.removeprefix(_TAG)
        if kind in ("str", "merge"):
            if node.style is None:
                self.text(node, ())
            return node.value
        if kind == "int" and _INTEGER.fullmatch(node.value):
            return node.value
        written = node.value or "(nothing)"
        raise InputError(
            f"{_place(node)}: the key {written} would be read as {_read(node)}; expected a name, "
            f'or a whole number; write "{node.value}" in quotes for the text'
        )

    def scalar(self, node: yaml.ScalarNode, path: tuple[str, ...]) -> None:
        kind, text = node.tag.removeprefix(_TAG), node.value
        if kind == "null":
            return
        if kind == "str":
            if node.style is None:
                self.text(node, path)
        elif kind == "int":
            if not _INTEGER.fullmatch(text):
                self.refuse(node, path)
        elif kind == "float":
            if not _FLOAT.fullmatch(text) or not _keeps(text):
                self.refuse(node, path)
        elif kind == "bool":
            if not _TRUTH.fullmatch(text) and not (self.flags and len(path) == 1):
                self.refuse(node, path)
        elif kind == "timestamp":
            self.refuse(node, path)
        else:
            self.refuse_tag(node)

    def text(self, node: yaml.ScalarNode, path: tuple[str, ...]) -> None:
        if not _NUMBER_ELSEWHERE.fullmatch(node.value):
            return
        where = f"`{'.'.join(path)}`: " if path else "the key "
        raise InputError(
            f"{_place(node)}: {where}{node.value} would be read as text, not as a number; write "
            f'{_plainly(node.value)} for the number, or "{node.value}" in quotes for the text'
        )

    def refuse(self, node: yaml.ScalarNode, path: tuple[str, ...]) -> None:
        read = _read(node)
        remedy = f'"{node.value}" in quotes for the text'
        if isinstance(read, bool):
            remedy = f"write {str(read).lower()}, or {remedy}"
        elif ":" in node.value and isinstance(read, int | float):
            remedy = f"in base 60; write a plain number in the key's unit, or {remedy}"
        elif isinstance(read, int | float) and math.isfinite(read):
            remedy = f"write {read!r} if that is meant, or {remedy}"
        elif isinstance(read, float):
            remedy = f"expected a finite number, or {remedy}"
        else:
            remedy = f"write {remedy}"
        raise InputError(
            f"{_place(node)}: `{'.'.join(path)}`: {node.value} would be read as {_words(read)}"
            f"{'' if remedy.startswith('in base') else ';'} {remedy}"
        )

    def refuse_tag(self, node: yaml.Node) -> None:
        raise InputError(
            f"{_place(node)}: the tag {node.tag.replace(_TAG, '!!')} is not taken; expected "
            "plain names, numbers, texts, lists and mappings"
        )


def _read(node: yaml.ScalarNode) -> Any:
    """Return what a reader of YAML 1.1 makes of a scalar."""
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_object(node)
    except (ValueError, yaml.YAMLError):
        return "no value"
    finally:
        loader.dispose()


def _words(read: Any) -> str:
    if read is None or isinstance(read, bool):
        return {None: "null", True: "true", False: "false"}[read]
    return repr(read) if isinstance(read, int | float) else f"the date {read}"


def _keeps(text: str) -> bool:
    """Whether a float is in range: 1.0e+400 becomes infinite, and 1.0e-400 becomes 0."""
    digits = re.split("[eE]", text)[0]
    value = float(text)
    return math.isfinite(value) and (value != 0 or not re.search("[1-9]", digits))


def _plainly(text: str) -> str:
    """Return a number as YAML 1.1 takes it: 1.0e+5 for 1e5, 8 for 08."""
    if re.search("[eE]", text) and not re.match(r"[-+]?0[oO]", text):
        text = text.replace("_", "")
        mantissa, exponent = re.split("[eE]", text)
        mantissa += "" if "." in mantissa else ".0"
        value = float(text)
        whole = f" or {int(value)}" if value.is_integer() and abs(value) < 1e9 else ""
        return f"{mantissa}e{int(exponent):+d}{whole}"
    return "it without leading zeros"
