"""The schema of the config, and what it says is wrong, in words."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from w2dual.config import kinds
from w2dual.records import InputError

Config = dict[str, Any]

SCHEMA = Path(__file__).parent / "schema.yaml"


@cache
def read() -> dict[str, Any]:
    """Return our own schema; a test reads it strictly, and this takes a fifth of the time."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(SCHEMA.read_text("utf-8"), loader)  # noqa: S506 (both are safe)


@cache
def _validator() -> Any:
    """Return the class of our validators; to make it takes as long as to check a section."""
    from jsonschema import Draft202012Validator, validators

    # JSON schema takes 1000.0 for an integer, on which counts fail later, and has no infinity.
    types = Draft202012Validator.TYPE_CHECKER.redefine_many(
        {"integer": lambda _, item: _is_integer(item), "number": lambda _, item: is_number(item)}
    )
    return validators.extend(Draft202012Validator, {"pattern": _pattern}, type_checker=types)


def check(value: Any, schema: Mapping[str, Any], prefix: tuple[str, ...]) -> None:
    """Check a value against a schema.

    Args:
        value: of the config.
        schema: ours, or that of a part, with the whole's `$defs`.
        prefix: keys that lead to the value, for messages.

    Raises:
        InputError: naming each key that is wrong, its value and what would be right.
    """
    # Keys such as dimensions are integers in YAML; JSON schema knows text keys alone.
    errors = _validator()(schema).iter_errors(_text_keys(value))
    messages = {_explain(error, prefix) for error in errors}
    if messages:
        raise InputError("\n".join(sorted(messages)))


def check_kind(settings: Mapping[str, Any], section: str, key: str) -> None:
    """Check the settings of a kind, by the schema's own of that kind.

    Args:
        settings: with a `kind`.
        section: of kinds, one of `kinds.ROOMS`.
        key: of the settings in the config, for messages.

    Raises:
        InputError: there is no such kind, or a setting is wrong.
    """
    whole, kind = read(), settings["kind"]
    known = whole["$defs"]["kinds"].get(section, {})
    if kind in known:
        check(settings, {"$defs": whole["$defs"], **known[kind]}, tuple(key.split(".")))
    else:
        kinds.check(section, key, kind)


def _pattern(validator: Any, pattern: str, value: Any, _: Any) -> Iterator[Any]:
    """Match as JSON schema does: in Python `$` is also before a newline at the end."""
    from jsonschema import ValidationError

    if validator.is_type(value, "string") and not re.search(re.sub(r"\$$", r"\\Z", pattern), value):
        yield ValidationError(f"{value!r} does not match {pattern!r}")


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """Whether a value is a finite number."""
    return _is_integer(value) or (isinstance(value, float) and math.isfinite(value))


def _text_keys(value: Any) -> Any:
    if isinstance(value, Mapping):
        texts = {str(key): _text_keys(item) for key, item in value.items()}
        if len(texts) < len(value):
            both = next(key for key in value if not isinstance(key, str) and str(key) in value)
            raise InputError(
                f'config: {both} is a key as a number and as "{both}" in quotes, in two files of '
                "which one would hide the other; leave out the quotes"
            )
        return texts
    if isinstance(value, list):
        return [_text_keys(item) for item in value]
    return value


def _explain(error: Any, prefix: tuple[str, ...]) -> str:
    where = ".".join(map(str, (*prefix, *error.absolute_path))) or "(top level)"
    if error.validator in ("additionalProperties", "unevaluatedProperties"):
        known = _known_keys(error.schema)
        unknown = [key for key in error.instance if key not in known]
        hints = []
        for key in unknown:
            close = difflib.get_close_matches(key, known, n=1)
            meant = f" (did you mean `{close[0]}`?)" if close else ""
            full = key if where == "(top level)" else f"{where}.{key}"
            hints.append(f"config key `{full}` is not known{meant}; known here: {', '.join(known)}")
        return "\n".join(hints)
    if error.validator == "required":
        missing = [key for key in error.validator_value if key not in error.instance]
        return f"config key `{where}` lacks {', '.join(f'`{key}`' for key in missing)}"
    expected = error.schema.get("description", "")
    message = f"config key `{where}`: {error.message}" + (
        f"; expected {expected}" if expected else ""
    )
    if isinstance(error.instance, str) and re.fullmatch(r"[0-9.]+[eE][+-]?[0-9]+", error.instance):
        message += f" (YAML reads {error.instance} as text; write it like 1.0e-3 or 1.0e+5)"
    return message


def _known_keys(schema: Mapping[str, Any]) -> list[str]:
    """Return the keys that a mapping may have, also by `$ref`: those that it needs come first."""
    found = list(schema.get("properties", {}))
    if "$ref" not in schema:
        return found
    found += _known_keys(read()["$defs"][schema["$ref"].rpartition("/")[2]])
    needed = [key for key in schema.get("required", ()) if key in found]
    return needed + [key for key in found if key not in needed]
