"""YAML by what is written: what PyYAML would change is refused, what is plain is read as ever."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from w2dual.config import reader, strict_yaml
from w2dual.records import InputError

ROOT = Path(__file__).parents[3]
OURS = sorted(
    path
    for pattern in ("config.yaml", "presets/*.yaml", "profiles/*/*.yaml", "slurm/config.yaml")
    for path in ROOT.glob(pattern)
)


def refusal(text: str, flags: bool = False) -> str:
    with pytest.raises(InputError) as caught:
        strict_yaml.parse(text, "my.yaml", flags)
    return str(caught.value)


# ---------------------------------------------------------------- what is refused

CHANGED = {
    "sexagesimal": ("24:00:00", "read as 86400 in base 60; write a plain number in the key's unit"),
    "sexagesimal of two": ("1:30", "read as 90 in base 60"),
    "sexagesimal, signed": ("-1:30", "read as -90 in base 60"),
    "sexagesimal float": ("1:30.5", "read as 90.5 in base 60"),
    "octal": ("010", "read as 8; write 8 if that is meant"),
    "binary": ("0b11", "read as 3"),
    "hexadecimal": ("0x1F", "read as 31"),
    "underscores": ("1_000", "read as 1000; write 1000"),
    "underscores, float": ("1_000.5", "read as 1000.5"),
    "exponent": ("1e5", "read as text, not as a number; write 1.0e+5 or 100000"),
    "small exponent": ("1e-3", "write 1.0e-3 for the number"),
    "exponent without a sign": ("2.5E3", "write 2.5e+3 or 2500"),
    "exponent and underscores": ("1__0e5", "read as text"),
    "octal of today": ("0o17", "read as text"),
    "no octal": ("08", "read as text"),
    "yes": ("yes", 'read as true; write true, or "yes" in quotes'),
    "NO": ("NO", 'read as false; write false, or "NO" in quotes'),
    "on": ("on", "read as true"),
    "Off": ("Off", "read as false"),
    "date": ("2024-01-02", 'read as the date 2024-01-02; write "2024-01-02" in quotes'),
    "time": ("2001-12-14t21:59:43.10-05:00", "read as the date"),
    "infinite": (".inf", "read as inf; expected a finite number"),
    "infinite below": ("-.INF", "read as -inf"),
    "no number": (".nan", "read as nan"),
    "too large": ("1.0e+400", "read as inf"),
    "too small": ("1.0e-400", "read as 0.0"),
    "octal in quotes": ('!!int "010"', "read as 8"),
    "bytes": ("!!binary aGk=", "the tag !!binary is not taken"),
    "set": ("!!set {b, c}", "the tag !!set is not taken"),
    "Python": ("!!python/name:os.system ''", "is not taken"),
    "equals": ("=", "is not taken"),
}


@pytest.mark.parametrize("case", CHANGED)
@pytest.mark.parametrize(
    ("form", "line", "key"),
    [
        ("a: 1\nb:\n  c: WRITTEN\n", 3, "b.c"),
        ("# a\n\nb: [x, WRITTEN]", 3, "b.1"),
        ("{b: WRITTEN}", 1, "b"),
    ],
    ids=["block", "list", "flow"],
)
def test_a_value_whose_text_would_be_lost_is_named(case: str, form: str, line: int, key: str):
    written, message = CHANGED[case]
    said = refusal(form.replace("WRITTEN", written))
    assert said.startswith(f"my.yaml, line {line}: ")
    assert message in said
    if "tag" not in message and "is not taken" not in message:
        assert f"`{key}`: {written.split()[-1].strip(chr(34))} would be read as " in said


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("null", "read as None"),
        ("~", "read as None"),
        ("yes", "read as True"),
        ("1.5", "read as 1.5"),
        ("010", "read as 8"),
        ("1_0", "read as 10"),
        ("2024-01-02", "read as 2024-01-02"),
        ("1e5", "read as text"),
        ("? [1, 2]\n", "cannot be a key"),
        ("? {a: 1}\n", "cannot be a key"),
    ],
)
def test_a_key_that_is_no_name_is_named(key: str, message: str):
    said = refusal(f"a: 1\n{key}: 2\n")
    assert said.startswith("my.yaml, line 2: ")
    assert message in said


@pytest.mark.parametrize(
    ("text", "line", "key"),
    [
        ("a: 1\na: 1\n", 2, "a"),
        ("b: {a: 1, a: 2}", 1, "a"),
        ("2: 1\n'2': 3\n", 2, "2"),  # one key to JSON, and so to the schema
        ('{"a": 1,\n\t"a": 2}', 2, "a"),
        ("x: &x {a: 1}\ny: {<<: *x, <<: *x}", 2, "<<"),
    ],
    ids=["block", "flow", "number and text", "JSON with tabs", "two merges"],
)
def test_a_duplicate_key_is_named(text: str, line: int, key: str):
    assert refusal(text).startswith(f"my.yaml, line {line}: duplicate key `{key}`")


def test_what_a_merge_hides_is_named():
    said = refusal("x: &x {a: 1, b: 1}\ny: &y {c: 2, b: 2}\nz: {<<: [*x, *y]}\n")
    assert said.startswith("my.yaml, line 3: `<<` merges `b` from two mappings")


def test_what_holds_itself_is_named():
    assert "my.yaml, line 1: `a.b` holds itself" in refusal("a: &x {b: *x}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a", "line 1: expected keys with values, not a list"),
        ("word", "expected keys with values, not 'word'"),
        ("!!omap [a: 1]", "expected keys with values"),
        ("a: 1\n---\nb: 2", "expected a single document"),
        ("a: [1", "line 1"),
        ("a: \0", "special characters"),
        ("a: " + "9" * 5000, "digits"),
        ("a: " + "[" * 3000, "nested too deeply"),
        ("__use_yte__: true\na: ?1 + 1", "templates are not filled in"),
    ],
)
def test_what_is_no_mapping_is_named(text: str, message: str):
    said = refusal(text)
    assert said.startswith("my.yaml")
    assert message in said


# ---------------------------------------------------------------- what is taken


def test_plain_values_are_read_as_ever():
    text = """
text: 24h
quoted: ["24:00:00", '010', "1e5", "yes", "2024-01-02", "~"]
numbers: [0, -3, +4, 1.5, .5, 1., 1.0e+5, 1.0e-3, -2.220446049250313e-9, 0.0e-400]
truth: [true, False, TRUE]
nothing: [null, ~, Null]
empty:
by_dimension: {2: 240, 64: 480}
alias: &a {b: 1}
merged: {<<: *a, c: 2}
over: {<<: *a, b: 2}
twice: [*a, *a]
words: [y, n, 1h, v1.2.3, 10.1.2.3, 0:30, a:b]
"""
    assert strict_yaml.parse(text, "my.yaml") == yaml.safe_load(text)


@pytest.mark.parametrize("path", OURS, ids=lambda path: str(path.relative_to(ROOT)))
def test_our_own_files_are_read_as_ever(path: Path):
    assert strict_yaml.load(path, flags=True) == yaml.safe_load(path.read_text())


@pytest.mark.parametrize("text", ["", "# nothing\n", "{}"])
def test_nothing_is_an_empty_mapping(text: str):
    assert strict_yaml.parse(text, "my.yaml") == {}


def test_json_is_read_with_its_tabs():
    value = {"a": {"b": [1, 2.5, "x\ty", None, True]}}
    assert strict_yaml.parse(json.dumps(value, indent="\t"), "my.json") == value


def test_options_of_a_profile_may_be_switched_on():
    text = "keep-going: yes\nrerun-incomplete: on\n__use_yte__: true\n"
    assert strict_yaml.parse(text, "my.yaml", flags=True)["keep-going"] is True
    said = refusal("default-resources:\n  slurm_account: no\n", flags=True)
    assert "line 2: `default-resources.slurm_account`: no would be read as false" in said


@pytest.mark.parametrize(
    "value", ["1e5", "08", "0o17", "24:00:00", "yes", "1_000", "010", "plain", 1e-5, 1e5, 3, None]
)
def test_what_is_dumped_is_read_again(value: Any):
    data = {"a": [value], "b": {"c": value}}
    assert strict_yaml.parse(strict_yaml.dump(data), "my.yaml") == data


def test_the_papers_config_is_dumped_in_its_own_order():
    paper = reader.load([ROOT / "config.yaml"])
    expected = yaml.safe_dump(paper, sort_keys=False, allow_unicode=True, width=100)
    assert strict_yaml.dump(paper) == expected


def test_a_text_is_read_once_whatever_its_name_and_a_value_may_be_changed(
    monkeypatch: pytest.MonkeyPatch,
):
    text = "a: {b: [1, 2]} # of this test alone"
    first = strict_yaml.parse(text, "one.yaml")
    first["a"]["b"].append(3)
    monkeypatch.setattr(strict_yaml, "_parsed", lambda *_: pytest.fail("read again"))
    assert strict_yaml.parse(text, "other.yaml") == {"a": {"b": [1, 2]}}


def test_not_every_text_is_kept():
    for number in range(2 * strict_yaml._MOST_READ):
        assert strict_yaml.parse(f"a: {number}", "my.yaml") == {"a": number}
    assert len(strict_yaml._READ) == strict_yaml._MOST_READ


# ---------------------------------------------------------------- the command line


@pytest.mark.parametrize(
    "text", ["1_000", " 5", "010", "\u0661\u0662", "nan", "inf", "-Infinity", "1e400", "1_0.5"]
)
def test_numbers_of_python_alone_are_refused_on_the_command_line(text: str):
    with pytest.raises(InputError, match=r"--config site_runtime_min=.* would be read as"):
        strict_yaml.check_arguments([f"site_runtime_min={text}"])


def test_plain_values_pass_on_the_command_line():
    strict_yaml.check_arguments(
        ["a=60", "b=-1.5", "c=1e5", "d=NVIDIA H100", "e=", "f='1e5'", "g=1:30"]
    )


def test_aliases_that_stand_for_more_than_a_config_holds_are_refused():
    """Nine to the eighth; a file of an archive may come from anybody."""
    lines = ["a0: &a0 [" + ", ".join("x" * 9) + "]"]
    for level in range(1, 8):
        lines.append(f"a{level}: &a{level} [" + ", ".join([f"*a{level - 1}"] * 9) + "]")
    text = "\n".join(lines)
    assert "values by its aliases, at most 100000" in refusal(text)
    assert strict_yaml.parse("\n".join(lines[:3]), "my.yaml")["a2"][8][8][8] == "x"
