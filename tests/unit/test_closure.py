"""What a module imports and says, read from its text; and that rules depend on what jobs load."""

import ast
import re
from pathlib import Path

import pytest

from w2dual import closure
from w2dual.subcommands import JOBS

ROOT = Path(__file__).parents[2]


# ---------------------------------------------------------------- the closure


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package `pack` in a checkout, with a module of the user's beside it."""
    folder = tmp_path / "src" / "pack"
    files = {
        "__init__.py": "",
        "top.py": "import os, packing\nfrom pack import middle, __doc__\n",
        "middle.py": "def f():\n    from .inner.leaf import thing\n    import pack.lazy\n",
        "inner/__init__.py": "from . import shared\n",
        "inner/leaf.py": "from ..side import x\nthing = 1\n",
        "inner/shared.py": "",
        "inner/other.py": "",
        "side.py": "import typing\nif typing.TYPE_CHECKING:\n    from pack import unseen\n",
        "lazy.py": "import pack.top\n",
        "unseen.py": "",
        "alone.py": "",
        "wrong.py": "from pack import alone\n(",
        "reads.py": "open('inner/table.csv'); open('no.csv'); open('../../pyproject.toml')\n",
        "inner/table.csv": "a,b\n",
        "all/__init__.py": "EVERY = 'PART'\n",
        "all/one.py": "from pack import alone\nPART = 1\n",
        "all/two.py": "WHOLE = 1\n",
        "mine.py": "import helper\n",
        "../helper.py": "import numpy\nfrom helper_parts import a\n",
        "../helper_parts/__init__.py": "from .a import x\n",
        "../helper_parts/a.py": "x = 1\n",
        "../../pyproject.toml": "",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize(
    ("modules", "files"),
    [
        (["alone"], ["pack/__init__.py", "pack/alone.py"]),
        (["inner"], ["pack/__init__.py", "pack/inner/__init__.py", "pack/inner/shared.py"]),
        (
            ["top"],
            ["pack/__init__.py", "pack/inner/__init__.py", "pack/inner/leaf.py"]
            + ["pack/inner/shared.py", "pack/lazy.py", "pack/middle.py", "pack/side.py"]
            + ["pack/top.py"],
        ),
        (["wrong"], ["pack/__init__.py", "pack/wrong.py"]),
        (["alone", "unseen"], ["pack/__init__.py", "pack/alone.py", "pack/unseen.py"]),
        (["reads"], ["pack/__init__.py", "pack/inner/table.csv", "pack/reads.py"]),
        (["all"], ["pack/__init__.py", "pack/all/__init__.py", "pack/all/one.py", "pack/alone.py"]),
        (
            ["mine"],
            ["helper.py", "helper_parts/__init__.py", "helper_parts/a.py"]
            + ["pack/__init__.py", "pack/mine.py"],
        ),
    ],
)
def test_closure(package: Path, modules: list[str], files: list[str]):
    assert closure.closure(modules, package) == files


def test_an_installed_package_does_not_count_what_lies_beside_it(package: Path):
    (package.parents[1] / "pyproject.toml").unlink()
    closure._is_checkout.cache_clear()
    assert closure.closure(["mine"], package) == ["pack/__init__.py", "pack/mine.py"]


def test_an_import_that_is_added_is_seen(package: Path):
    (package / "alone.py").write_text("import pack.unseen\n")
    assert "pack/unseen.py" in closure.closure(["alone"], package)


def test_a_module_that_is_added_to_all_of_a_package_is_seen(package: Path):
    before = closure.digest(["all"], package)
    (package / "all" / "more.py").write_text("PART = 2\n")
    assert "pack/all/more.py" in closure.closure(["all"], package)
    assert closure.digest(["all"], package) != before
    assert closure.every("all", package) == ["more", "one"]
    with pytest.raises(ValueError, match=r"pack\.inner: expected a line `EVERY = NAME`"):
        closure.every("inner", package)


def test_a_module_that_is_not_there(package: Path):
    with pytest.raises(ValueError, match=r"pack\.nowhere: no such module"):
        closure.closure(["nowhere"], package)


# ---------------------------------------------------------------- the digest

SAID = '''"""A module."""

import os  # why


class A:
    """Docs."""

    x: int = 3
    """Its x."""

    def f(self):
        """Do.

        Much.
        """
        # a comment
        return "# no comment", """not
  a docstring
"""
'''


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""A module."""', "'''Another\n\nmodule.'''"),
        ("import os  # why", "import os"),
        ("        # a comment\n", ""),
        ("        # a comment\n", "\n\n        # two\n        # comments\n"),
        ('    """Its x."""\n', ""),
        ("        Much.\n", "        Less.\n"),
    ],
)
def test_comments_and_docstrings_say_nothing(package: Path, old: str, new: str):
    (package / "alone.py").write_text(SAID)
    before = closure.digest(["alone"], package)
    assert old in SAID
    (package / "alone.py").write_text(SAID.replace(old, new))
    assert closure.digest(["alone"], package) == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("= 3", "= 4"),
        ("import os", "import sys"),
        ('"# no comment"', '"# a comment"'),
        ("  a docstring\n", " a docstring\n"),
        ("  a docstring\n", "\n  a docstring\n"),
        ("  a docstring\n", "  a docstring \n"),
        ("def f(self)", "def f(this)"),
        ("        return", "          return"),
    ],
)
def test_anything_else_does(package: Path, old: str, new: str):
    (package / "alone.py").write_text(SAID)
    before = closure.digest(["alone"], package)
    assert old in SAID
    (package / "alone.py").write_text(SAID.replace(old, new))
    assert closure.digest(["alone"], package) != before


def test_the_digest_is_of_names_and_of_data_too(package: Path):
    assert closure.digest(["alone"], package) != closure.digest(["unseen"], package)
    before = closure.digest(["reads"], package)
    (package / "inner/table.csv").write_text("a,b,c\n")
    assert closure.digest(["reads"], package) != before


def test_a_file_that_is_not_python_counts_as_it_stands(package: Path):
    before = closure.digest(["wrong"], package)
    (package / "wrong.py").write_text("from pack import alone\n(  # open\n")
    assert closure.digest(["wrong"], package) != before


def test_what_python_runs_is_unchanged_by_what_is_left_out():
    """Every module of the project is the same program without what says nothing."""
    paths = sorted(closure.PACKAGE.rglob("*.py"))
    assert len(paths) > 100
    for path in paths:
        text = path.read_text(encoding="utf-8")
        assert program(with_bodies(closure.spoken(text))) == program(text), path


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a = '#'  # no\n", "a = '#'"),
        ("a = '\\'#'  # 'no'\n", "a = '\\'#'"),
        ('a = ("é", # é\n"""x\n\n# y""")  # no\n', 'a = ("é",\n"""x\n\n# y""")  '),
        ('a = r"""\\""" # no\n"""\n', 'a = r"""\\""" # no\n"""'),
        ("def f():\n    'é'; return 1  # no\n", "def f():\n    ; return 1"),
        ("a = 1  # no\r\nb = 2\r\n", "a = 1\nb = 2"),
        ("a = 1\x0c# no\nb = '\x0c#'\n", "a = 1\nb = '\x0c#'"),
        # May be a string in an f-string.
        ("a = f'{b}'  # no\nc = 1  # no\n", "a = f'{b}'  # no\nc = 1"),
        ("a = f'''{b}'''\nc = 1  # no\n", "a = f'''{b}'''\nc = 1  # no"),
        ("a = (  # not Python\n", "a = (  # not Python\n"),
    ],
)
def test_comments_are_told_from_strings(text: str, said: str):
    assert closure.spoken(text) == said


def program(text: str) -> str:
    """A program without its docstrings, `pass` in the place of a body that was nothing else."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(body := getattr(node, "body", None), list):
            node.body = [item for item in body if not is_text(item)] or [ast.Pass()]  # pyright: ignore
    return ast.dump(tree)


def is_text(item: ast.stmt) -> bool:
    value = item.value if isinstance(item, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


def with_bodies(text: str) -> str:
    """A text with `pass` where Python wants a statement and a docstring was all that there was."""
    lines, out = text.split("\n"), []
    for line, after in zip(lines, [*lines[1:], ""], strict=True):
        out.append(line)
        indent, deeper = (len(item) - len(item.lstrip()) for item in (line, after))
        if re.match(r"\s*(class|def|async def|\)).*:$", line) and deeper <= indent:
            out.append(" " * (indent + 4) + "pass")
    return "\n".join(out)


# ---------------------------------------------------------------- kinds


def test_the_kinds_of_a_room_are_its_modules_that_make_one(package: Path):
    (package / "inner" / "kind.py").write_text("def make(settings): ...\n")
    (package / "inner" / "base.py").write_text("def make(settings): ...\n")
    (package / "inner" / "late.py").write_text("from .kind import make\n")
    (package / "inner" / "broken.py").write_text("def make(")
    assert closure.modules_with("inner", "make", package) == ["broken", "kind", "late"]


# ---------------------------------------------------------------- the rules


def rules() -> dict[str, str]:
    """Each rule that runs a job: its name, and its text."""
    found = {}
    for path in sorted((ROOT / "rules").glob("*.smk")):
        text = path.read_text(encoding="utf-8")
        for name, body in re.findall(r"^rule (\w+):\n(.*?)(?=^\S|\Z)", text, re.M | re.S):
            if "python -m w2dual" in body:
                found[name] = body
    return found


@pytest.mark.parametrize("name", rules())
def test_a_rule_depends_on_the_code_of_the_job_that_it_runs(name: str):
    body = rules()[name]
    (job,) = re.findall(r"python -m w2dual ([\w-]+)", body)
    (params,) = re.findall(r"^    params:\n((?:        .*\n|\n)+)", body, re.M)
    # As a value of `wc` alone: what also takes `input` reruns nothing.
    (named,) = re.findall(r'code=lambda wc: code_of\(\s*"(\w+)"', params)
    assert named == job.replace("-", "_")
    assert job in JOBS


def test_constants_are_read_from_the_text(package: Path):
    (package / "alone.py").write_text(
        "import nowhere\na = b = ('x', 1)\nc: dict = {'k': [None]}\nd = len(a)\nif a:\n    e = 1\n"
    )
    assert (
        closure.constant("alone", "a", package)
        == closure.constant("alone", "b", package)
        == ("x", 1)
    )
    assert closure.constant("alone", "c", package) == {"k": [None]}
    for module, name in [("alone", "e"), ("alone", "z"), ("wrong", "a"), ("none", "a")]:
        assert closure.constant(module, name, package) is None
    with pytest.raises(ValueError, match="malformed"):
        closure.constant("alone", "d", package)
    (package / "alone.py").write_text("a = 12345\n")
    assert closure.constant("alone", "a", package) == 12345
