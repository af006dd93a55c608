"""The decoder of records: what it takes, what it refuses, and that it converts nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from w2dual.decoding import decode
from w2dual.records import InputError


@dataclass(frozen=True)
class Inner:
    size: int


@dataclass(frozen=True)
class Wider(Inner):
    width: float


@dataclass(frozen=True)
class Record:
    name: str
    rate: float
    count: int
    on: bool
    places: tuple[int, ...]
    pair: tuple[str, float]
    inner: Inner | Wider
    either: Inner | None
    free: Mapping[str, Any]
    limit: float | None = None
    made: list[int] = field(default_factory=list, init=False)


RIGHT = {
    "name": "a",
    "rate": 1,
    "count": 2,
    "on": True,
    "places": [1, 2],
    "pair": ["x", 0.5],
    "inner": {"size": 3, "width": 0.5},
    "either": None,
    "free": {"kind": "k", "b": [1]},
}


def test_a_record_becomes_its_dataclass():
    found = decode(Record, RIGHT, "f.json")
    assert found == Record(
        "a", 1, 2, True, (1, 2), ("x", 0.5), Wider(3, 0.5), None, {"kind": "k", "b": [1]}
    )
    assert type(found.rate) is int  # as it would be hashed
    assert type(decode(Record, RIGHT | {"inner": {"size": 3}}, "f.json").inner) is Inner
    assert decode(Record, RIGHT | {"either": {"size": 1}}, "f").either == Inner(1)
    assert decode(Record, RIGHT | {"limit": 2.5}, "f").limit == 2.5


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": 1}, "f.json: `name` is 1; expected a text"),
        ({"count": 2.0}, "f.json: `count` is 2.0; expected a whole number"),
        ({"count": True}, "f.json: `count` is True; expected a whole number"),
        ({"rate": "1e-3"}, "f.json: `rate` is '1e-3'; expected a number"),
        ({"rate": False}, "f.json: `rate` is False; expected a number"),
        ({"rate": float("nan")}, "f.json: `rate` is nan; expected a number"),
        ({"on": 1}, "f.json: `on` is 1; expected true or false"),
        ({"limit": "x"}, "f.json: `limit` is 'x'; expected a number or null"),
        ({"places": "12"}, "f.json: `places` is '12'; expected a list"),
        ({"places": [1, None]}, "f.json: `places.1` is None; expected a whole number"),
        ({"pair": ["x"]}, "f.json: `pair` has 1 entries; expected 2"),
        ({"pair": ["x", "y"]}, "f.json: `pair.1` is 'y'; expected a number"),
        ({"free": [1]}, "f.json: `free` is [1]; expected a mapping"),
        ({"inner": 3}, "f.json: `inner` 3 is not a mapping of keys to values"),
        ({"inner": {}}, "f.json: `inner` lacks `size`"),
        ({"inner": {"width": 1, "sise": 2.0}}, "the unknown key `sise` (did you mean `size`?)"),
        ({"either": {"size": "1"}}, "f.json: `either.size` is '1'; expected a whole number"),
        ({"either": 3}, "f.json: `either` is 3; expected a mapping or null"),
        ({"made": [1]}, "f.json: has the unknown key `made`; known here: name, rate, count"),
    ],
)
def test_what_is_wrong_is_named_with_source_and_key(changes: dict[str, Any], said: str):
    with pytest.raises(InputError) as caught:
        decode(Record, RIGHT | changes, "f.json")
    assert said in str(caught.value)


@pytest.mark.parametrize("key", [name for name in RIGHT])
def test_every_key_without_a_default_is_needed(key: str):
    record = {name: value for name, value in RIGHT.items() if name != key}
    with pytest.raises(InputError, match=f"f: `at.depth` lacks `{key}`"):
        decode(Record, record, "f", "at.depth")


@pytest.mark.parametrize("record", [[1], None, "name", 3])
def test_what_is_no_mapping_is_refused(record: Any):
    with pytest.raises(InputError, match="f: .* is not a mapping"):
        decode(Record, record, "f")
