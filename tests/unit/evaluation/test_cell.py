"""Which evaluation a cell gets: the one that its method or its pair asks for, before any other."""

import dataclasses
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from w2dual.config import cells
from w2dual.evaluation import cell as cell_evaluation
from w2dual.records import InputError


def package(folder: Path, method: str = "", pair: str = "") -> Path:
    """Write a package with a method `mine`, a pair `law` and two kinds of evaluation."""
    texts = {
        "training/methods/mine.py": f"NEEDS = ()\n{method}\n",
        "measures/pairs/law.py": f"{pair}\n",
        "evaluation/kinds/steps.py": "def make(method, pair, cell): ...\n",
        "evaluation/kinds/colours.py": "def make(method, pair, cell): ...\n",
    }
    for name, text in texts.items():
        path = folder / "w2dual" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        for parent in path.relative_to(folder).parents:
            if str(parent) != ".":
                (folder / parent / "__init__.py").touch()
    return folder / "w2dual"


MINE = {"method": {"kind": "mine"}}


def test_a_module_names_its_evaluation_and_its_code_counts(tmp_path: Path):
    here = package(tmp_path, 'EVALUATION = "steps"', 'EVALUATION = "colours"')
    assert cells.method_evaluation(MINE, here) == "steps"
    assert cells.pair_modules("law", here) == ["measures.pairs.law", "evaluation.kinds.colours"]
    made = SimpleNamespace(settings=MINE)
    assert cells.modules(made, here) == [  # pyright: ignore[reportArgumentType]
        "training.methods.mine",
        "evaluation.kinds.steps",
    ]


def test_a_module_may_name_none(tmp_path: Path):
    here = package(tmp_path)
    assert cells.method_evaluation(MINE, here) is None
    assert cells.method_evaluation({}, here) is None
    assert cells.pair_modules("law", here) == ["measures.pairs.law"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('EVALUATION = "stesp"', "which is 'stesp'"),
        ("EVALUATION = 3", "which is 3"),
        ('EVALUATION = "ste" + name', "which is computed"),
    ],
)
def test_one_that_is_not_there_is_refused(tmp_path: Path, line: str, said: str):
    here = package(tmp_path, line)
    message = f"mine.py: `EVALUATION`, {said}, is not the name .*; known: colours, steps"
    with pytest.raises(InputError, match=message):
        cells.method_evaluation(MINE, here)


def test_the_methods_goes_before_the_pairs(monkeypatch: pytest.MonkeyPatch):
    for kind in ("steps", "colours"):
        module = ModuleType(kind)
        module.make = lambda *given, kind=kind: (kind, *given)  # pyright: ignore[reportAttributeAccessIssue]
        monkeypatch.setitem(sys.modules, f"w2dual.evaluation.kinds.{kind}", module)
    asked = {"mine": "steps"}
    monkeypatch.setattr(
        cell_evaluation, "method_evaluation", lambda of: asked.get(cells.method_kind(of))
    )

    @dataclasses.dataclass
    class Law:
        pass

    law = Law()
    monkeypatch.setattr(sys.modules[__name__], "EVALUATION", "colours", raising=False)
    mine, other = SimpleNamespace(settings=MINE), SimpleNamespace(settings={})
    make = cell_evaluation.make
    assert make(1, law, mine) == ("steps", 1, law, mine)  # pyright: ignore[reportArgumentType]
    assert make(1, law, other) == ("colours", 1, law, other)  # pyright: ignore[reportArgumentType]
