"""Which test files `make check` runs, and which tests come first."""

from pathlib import Path

import pytest
from tests import fast

TESTS = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import json\nfrom w2dual.records import InputError\n", False),
        ("import jax.numpy as jnp\n", True),
        ("def f():\n    from optax import adam\n", True),
        ("from tests.unit.settings import training\n", False),
        ("import jaxtyping\n", False),
    ],
)
def test_a_file_compiles_if_it_imports_jax(tmp_path: Path, text: str, expected: bool):
    path = tmp_path / "test_a.py"
    path.write_text(text)
    assert fast.compiles(path) is expected


@pytest.mark.parametrize(
    "text",
    [
        *("from .helper import network", "from . import helper", "from ..unit import helper"),
        *("from tests.unit.helper import network", "from tests.unit import helper"),
    ],
)
def test_a_helper_of_the_tests_is_read_too(
    tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(fast, "ROOT", tmp_path)
    folder = tmp_path / "tests" / "unit"
    folder.mkdir(parents=True)
    (folder / "helper.py").write_text("import flax\n")
    (folder / "test_a.py").write_text(text)
    assert fast.compiles(folder / "test_a.py")


def test_what_comes_first_is_there():
    assert [first for first in fast.FIRST if not (TESTS / first).exists()] == []
