"""Potentials of an action: their values, a module of a user's own, and messages."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import jax.numpy as jnp
import numpy as np
import pytest

from w2dual.paths import obstacles
from w2dual.records import InputError

PAGE = Path(__file__).parents[3] / "docs" / "lagrangian.md"


@pytest.mark.parametrize(
    ("settings", "points", "expected"),
    [
        ({"kind": "box", "half_width": 0.5}, [(0, 0), (0.5, 0), (1, 0)], [-2, -1, 0]),
        (
            {"kind": "slit", "half_thickness": 0.1, "half_opening": 0.25},
            [(0, 0), (0, 0.25), (0, 1), (1, 1)],
            [0, -1, -2, 0],
        ),
        ({"kind": "hill"}, [(0, 0), (1, 0)], [-2, -2 * np.exp(-1)]),
        ({"kind": "well"}, [(0, 0), (1, 2)], [0, -10]),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else "",
)
def test_values(settings: dict[str, object], points: list[tuple[float, float]], expected: list):
    obstacle = obstacles.make(settings, 2)
    found = obstacle(jnp.array(points, jnp.float32).T, strength=2.0, temperature=0.01)
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_the_page_s_example_is_a_kind(write: Callable[[ModuleType, str], None]):
    example = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert example is not None
    write(obstacles, example[1])
    post = obstacles.make({"kind": "mine", "radius": 0.4}, 2)
    x = jnp.array([[0.0, 0.4, 1.0], [0.0, 0.0, 0.0]])
    np.testing.assert_allclose(post(x, 0.02, 0.02), [-0.02, -0.01, 0.0], atol=1e-6)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("lambda x, strength, temperature: jnp.sum(x)", "expected shape \\(3, 5\\)"),
        ("lambda x, strength: -x[0]", "obstacle kind 'mine': cannot be applied to points"),
        ("3", "obstacle kind 'mine': cannot be applied to points"),
    ],
)
def test_a_module_that_is_written_wrongly_is_refused(
    write: Callable[[ModuleType, str], None], body: str, message: str
):
    write(obstacles, f"def make(settings, dimension):\n    return {body}\n")
    with pytest.raises(InputError, match=message):
        obstacles.make({"kind": "mine"}, 2)


def test_unknown_kinds_and_settings_are_refused():
    with pytest.raises(InputError, match="known kinds: box, hill, slit, well"):
        obstacles.make({"kind": "moat"}, 2)
    with pytest.raises(InputError, match="`make` of .*hill does not work with"):
        obstacles.make({"kind": "hill", "height": 1.0}, 2)
    with pytest.raises(InputError, match="obstacle slit: points in R\\^1"):
        obstacles.make({"kind": "slit", "half_thickness": 0.1, "half_opening": 0.2}, 1)
