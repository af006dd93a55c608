"""One decoder of records: a mapping that came from a file, as a frozen dataclass.

Every key is checked, and its type. Nothing is converted but lists, which become tuples: a whole
number where a float is expected stays one, so that what is hashed or written again is the same.
Light: JAX is not imported.
"""

from __future__ import annotations

import difflib
import math
import types
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from w2dual.records import InputError

T = TypeVar("T")

_SCALARS = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    bool: "true or false",
    types.NoneType: "null",
}


def decode(cls: type[T], record: Any, source: str, key: str = "") -> T:
    """Return a dataclass from a record whose keys are its fields.

    A field may be a number, a text, a truth value, None, a tuple, a mapping, another dataclass or
    a union of these. Of several dataclasses in a union the one is taken whose fields are most like
    the keys. A field with a default may be missing; one that is not of `__init__` is no key.

    Args:
        cls: a dataclass.
        record: what a file has.
        source: where the record is from, for the message.
        key: of the record in there, with dots between its parts; empty for the whole.

    Raises:
        InputError: it is no mapping, a key is missing or unknown, or a value is of another type;
            the message names source and key.
    """
    if not isinstance(record, Mapping):
        raise InputError(f"{_place(source, key)} {record!r:.60} is not a mapping of keys to values")
    known = _fields(cls)
    where = _place(source, key)
    if unknown := [name for name in record if name not in known]:
        raise InputError(f"{where} {unknown_keys(unknown, known)}")
    required = [name for name, item in known.items() if not _has_default(item)]
    if missing := [name for name in required if name not in record]:
        raise InputError(f"{where} lacks {', '.join(f'`{name}`' for name in missing)}")
    hints, plain = _hints(cls), _plain(cls)
    return cls(
        **{
            name: value
            if type(value) in plain[name]
            else _value(hints[name], value, source, f"{key}.{name}" if key else name)
            for name, value in record.items()
        }
    )


def unknown_keys(unknown: Iterable[Any], known: Iterable[str]) -> str:
    """Say which keys are unknown, what each may stand for, and what is known."""
    known = list(known)
    words = []
    for name in unknown:
        close = difflib.get_close_matches(str(name), known, n=1)
        words.append(f"`{name}`" + (f" (did you mean `{close[0]}`?)" if close else ""))
    return f"has the unknown key {', '.join(words)}; known here: {', '.join(known)}"


def _place(source: str, key: str) -> str:
    return f"{source}: `{key}`" if key else f"{source}:"


@cache
def _fields(cls: type) -> dict[str, Field[Any]]:
    return {item.name: item for item in fields(cls) if item.init}


@cache
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls)


@cache
def _plain(cls: type) -> dict[str, frozenset[type]]:
    """Return the types whose values a field takes as they are: most of a record, taken at once."""
    found = {}
    for name, hint in _hints(cls).items():
        kinds = {int if kind is float else kind for kind in _kinds(hint)[0]}
        found[name] = frozenset(kinds & _SCALARS.keys())
    return found


def _has_default(item: Field[Any]) -> bool:
    return item.default is not MISSING or item.default_factory is not MISSING


def _value(expected: Any, value: Any, source: str, key: str) -> Any:
    """Return a value of an expected type."""
    kinds, classes = _kinds(expected)
    if classes and (isinstance(value, Mapping) or len(kinds) == len(classes)):
        keys = set(value) if isinstance(value, Mapping) else set()
        return decode(
            min(classes, key=lambda kind: len(_fields(kind).keys() ^ keys)), value, source, key
        )
    for kind in kinds:
        origin, parts = get_origin(kind) or kind, get_args(kind)
        if origin is tuple and isinstance(value, list | tuple):
            return _tuple(parts, value, source, key)
        if origin in (dict, Mapping) and isinstance(value, Mapping):
            part = parts[1] if parts else Any
            if part is Any:
                return dict(value)
            return {
                name: _value(part, item, source, f"{key}.{name}") for name, item in value.items()
            }
        if kind is Any or (kind in _SCALARS and _is(kind, value)):
            return value
    words = " or ".join(_words(kind) for kind in kinds)
    raise InputError(f"{_place(source, key)} is {value!r:.60}; expected {words}")


@cache
def _kinds(expected: Any) -> tuple[tuple[Any, ...], tuple[type, ...]]:
    """Return what a value of an expected type may be, and which of these are dataclasses."""
    kinds = get_args(expected) if get_origin(expected) in (Union, types.UnionType) else (expected,)
    return kinds, tuple(kind for kind in kinds if isinstance(kind, type) and is_dataclass(kind))


def _tuple(parts: tuple[Any, ...], value: Any, source: str, key: str) -> tuple[Any, ...]:
    """Return a tuple: `tuple[T, ...]`, or one part for each entry."""
    if parts[1:] == (...,):
        parts = parts[:1] * len(value)
    if len(parts) != len(value):
        raise InputError(f"{_place(source, key)} has {len(value)} entries; expected {len(parts)}")
    pairs = zip(parts, value, strict=True)
    return tuple(_value(part, item, source, f"{key}.{i}") for i, (part, item) in enumerate(pairs))


def _is(kind: type, value: Any) -> bool:
    if isinstance(value, bool):
        return kind is bool
    if kind is float:
        return isinstance(value, int | float) and math.isfinite(value)
    return isinstance(value, kind)


def _words(kind: Any) -> str:
    origin = get_origin(kind) or kind
    if origin is tuple:
        return "a list"
    return _SCALARS.get(kind, "a mapping")
