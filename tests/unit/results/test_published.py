"""The transcribed values of the paper: against a literal fingerprint, and against the talk's text.

The talk's text is not part of the repository. Where it lies beside the checkout, or where
W2DUAL_PAPER names its folder, each number is compared with it; the fingerprints and the spot
checks hold everywhere.
"""

from __future__ import annotations

import csv
import hashlib
import os
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PUBLISHED = ROOT / "tables" / "published"
DIMENSIONS = [2, 4, 8, 16, 32, 64, 128, 256]
SOLVERS = {"None": "none", "L-BFGS": "lbfgs", "Adam": "adam"}
LOSSES = ("Cycle", "Objective", "Regression")
SHA256 = {
    "celeba64.csv": "ac980afcd0c7a308a24542af2ba243bfc8531311ed36e8d72368dc586ff22165",
    "celeba64_improvement.csv": "dec2c5b9758801c4ca032c42a0c38fb588995bab4f6cf4a31f70a8fde24e146b",
    "hd_baselines.csv": "57aacf49e21231c9171b38e0e8c4f249f37820b7a8e225b6999137ff45c61a3e",
    "hd_icnn.csv": "f1474ac3403cb87b5cef6735a82a455a5f57ec9506ade075a7c2bc1a879730ea",
    "hd_improvement.csv": "2915cf32f8cc53c38ce7af5d30f5864cfc0b6e1600c37a9d2a467a28de1158bf",
    "hd_mlp.csv": "6bc247d10a26f3793f971a81d816e7f7acd45b3756521c458aa3745696aa5aa8",
    "metric_recovery.csv": "23405a69318b9f4708339ef5a04bb9b055dd9f785e79325577d930352e4fc7a7",
}
# Best entries of each dimension, read off the talk by eye: (amortization, solver, mean).
BEST_MLP = ["0.03", "0.22", "0.60", "0.77", "1.97", "2.08", "0.67", "0.59"]
BEST_BASELINE = ["0.1", "0.3", "0.9", "1.4", "4.2", "3.2", "2.0", "2.6"]


def rows(name: str) -> list[dict[str, str]]:
    with (PUBLISHED / name).open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize("name", sorted(SHA256))
def test_file_is_the_one_that_was_checked(name: str) -> None:
    assert hashlib.sha256((PUBLISHED / name).read_bytes()).hexdigest() == SHA256[name]


def test_best_entries_read_off_by_eye() -> None:
    mlp, baselines = rows("hd_mlp.csv"), rows("hd_baselines.csv")
    for n, ours, prior in zip(DIMENSIONS, BEST_MLP, BEST_BASELINE, strict=True):
        here = [r["mean"] for r in mlp if r["dimension"] == str(n) and r["diverged"] == "false"]
        assert min(here, key=float) == ours
        assert min((r["mean"] for r in baselines if r["dimension"] == str(n)), key=float) == prior


@pytest.mark.parametrize("name", ["hd_icnn.csv", "hd_mlp.csv"])
def test_hd_files_hold_each_cell_once(name: str) -> None:
    keys = [(r["amortization"], r["solver"], int(r["dimension"])) for r in rows(name)]
    assert len(keys) == len(set(keys)) == 64
    for row in rows(name):
        assert (row["diverged"] == "true") == (row["mean"] == "") == (row["std"] == "")


def talk() -> str:
    """Return the talk's text, or "" where it does not lie beside the checkout."""
    given = os.environ.get("W2DUAL_PAPER")
    folders = [Path(given)] if given else [ROOT.parent / "shared" / "paper"]
    for folder in folders:
        for path in sorted(folder.glob("*.txt")):
            text = path.read_text(encoding="utf-8")
            if "HD benchmarks" in text and "CelebA benchmarks" in text:
                return text
    assert given is None, f"W2DUAL_PAPER={given} holds no text of the talk"
    return ""


def table_rows(text: str, start: str, end: str) -> list[list[str]]:
    """Return the tab-separated lines between two headings, without empty fields."""
    begin = text.index(start)
    lines = text[begin : text.index(end, begin)].splitlines()
    return [[part.strip() for part in line.split("\t") if part.strip()] for line in lines]


def value(text: str) -> tuple[str, str, str]:
    if text == ">100":
        return "", "", "true"
    mean, std = text.split(" ±")
    return mean, std, "false"


HD_SECTIONS = {
    "hd_icnn.csv": ("described in app. B.3", "described in app. B.4"),
    "hd_mlp.csv": ("described in app. B.4", "CelebA benchmarks"),
}


@pytest.mark.parametrize("name", sorted(HD_SECTIONS))
def test_hd_tables_equal_the_talk(name: str) -> None:
    if not (text := talk()):
        return  # the fingerprint above stands in for it
    expected = [
        (parts[0].lower(), SOLVERS[parts[1]], str(n), *value(entry))
        for parts in table_rows(text, *HD_SECTIONS[name])
        if parts and parts[0] in LOSSES
        for n, entry in zip(DIMENSIONS, parts[2:], strict=True)
    ]
    assert len(expected) == 64
    assert [tuple(row.values()) for row in rows(name)] == expected


def test_baselines_and_improvement_equal_the_talk() -> None:
    if not (text := talk()):
        return
    expected = [
        (parts[0][2:-1], parts[1].lower(), SOLVERS[parts[2]], str(n), entry)
        for parts in table_rows(text, "Baselines from", "input convex neural network")
        if parts and parts[0].startswith("*[")
        for n, entry in zip(DIMENSIONS, parts[3:], strict=True)
    ]
    assert [tuple(row.values()) for row in rows("hd_baselines.csv")] == expected
    (factors,) = [
        parts[1:]
        for parts in table_rows(text, *HD_SECTIONS["hd_mlp.csv"])
        if parts and parts[0].startswith("Improvement")
    ]
    plain = [re.sub(r"</?b>", "", factor) for factor in factors]
    assert [row["factor"] for row in rows("hd_improvement.csv")] == plain


def test_celeba_equals_the_talk() -> None:
    if not (text := talk()):
        return
    expected: list[tuple[str, ...]] = []
    for parts in table_rows(text, "CelebA benchmarks", "the reversed direction"):
        if parts and parts[0].startswith("*["):
            name = re.sub(r"<sup>.*</sup>|[*\[\] ]", "", parts[0])
            for where, mean in zip(("early", "mid", "late"), parts[4:], strict=True):
                head = (name, parts[1].lower(), SOLVERS[parts[2]], parts[3], where)
                expected.append((*head, mean, "", "false", "quoted"))
        elif parts and parts[0] in LOSSES:
            for where, entry in zip(("early", "mid", "late"), parts[3:], strict=True):
                head = ("", parts[0].lower(), SOLVERS[parts[1]], parts[2], where)
                expected.append((*head, *value(entry), "paper"))
        elif parts and parts[0].startswith("Improvement"):
            plain = [re.sub(r"</?b>", "", factor) for factor in parts[1:]]
            assert [row["factor"] for row in rows("celeba64_improvement.csv")] == plain
    assert len(expected) == 33
    assert [tuple(row.values()) for row in rows("celeba64.csv")] == expected
