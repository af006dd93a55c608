"""What `w2dual check` examines, and what it says and returns."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest
from tests.unit.settings import PAPER

from w2dual import amortization
from w2dual.__main__ import main
from w2dual.conformance import subjects
from w2dual.records import InputError

HUBER = """\
import optax

def make(settings):
    delta = settings["delta"]
    return lambda batch: jnp.mean(optax.huber_loss(batch.x_tilde, batch.x_hat, delta=delta))
"""

Write = Callable[[ModuleType, str], None]


def test_a_kind_is_examined_with_the_settings_of_each_entry() -> None:
    found = subjects("conjugate", "lbfgs", PAPER)
    assert [subject.name for subject in found] == [
        *("lbfgs", "lbfgs_high_precision", "lbfgs_ctransform", "lbfgs_ctransform_ours"),
    ]
    assert {subject.kind for subject in found} == {"lbfgs"}
    assert all("kind" not in subject.settings for subject in found)
    assert found[1].settings["trials"] == 30


def test_an_entry_is_examined_alone() -> None:
    (found,) = subjects("conjugate", "lbfgs_high_precision", PAPER)
    assert (found.kind, found.settings["gradient_tolerance"]) == ("lbfgs", 1e-3)
    (found,) = subjects("pair", "images", PAPER)
    assert found.kind == "images"
    assert {subject.kind for subject in subjects("pair", "synthetic", PAPER)} == {"synthetic"}


def test_a_weight_that_is_the_dimension_is_a_number() -> None:
    (found,) = subjects("amortization", "cycle", PAPER)
    assert found.settings == {"weight": 3.0}


def test_the_benchmark_is_examined_in_its_least_dimension() -> None:
    (found,) = subjects("pair", "benchmark", PAPER)
    assert (found.name, found.settings["sources"]) == ("hd2", ["mirror", "download"])


@pytest.mark.parametrize(
    ("kind", "section"), [("sphere", "measures.discrete"), ("palettes", "measures.palettes")]
)
def test_a_pair_that_no_cell_has_is_not_examined(kind: str, section: str) -> None:
    """The paper's config has no raster of people and no images, which the user brings."""
    with pytest.raises(InputError, match=f"pair '{kind}': no cell of the config .*`{section}`"):
        subjects("pair", kind, PAPER)
    (found,) = subjects("pair", "grid_images", PAPER)
    assert found.name == "mnist"


@pytest.mark.parametrize("name", ["none", "lbfsg"])
def test_nothing_to_examine(name: str) -> None:
    with pytest.raises(InputError) as raised:
        subjects("conjugate", name, PAPER)
    for words in (f"conjugate {name!r}", "`solvers`", "--settings", "--configfile", "adam, lbfgs"):
        assert words in str(raised.value)


def test_the_job_says_what_passed(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    write(amortization, HUBER)
    assert main(["check", "amortization", "mine", "--settings", '{"delta": 1.0}']) == 0
    out = capsys.readouterr().out
    assert 'amortization mine with the settings {"delta": 1.0}\n' in out
    assert out.count("  passed  ") == 8


def test_the_job_fails_where_a_check_does(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    write(amortization, HUBER.replace("jnp.mean", "-jnp.mean"))
    assert main(["check", "amortization", "mine", "--settings", '{"delta": 1.0}']) == 2
    said = capsys.readouterr()
    assert "  FAILED  least at the argmin" in said.out
    assert "amortization mine: 1 of 8 checks failed: least at the argmin" in said.err


def test_a_module_that_is_missing_is_a_verdict_in_words(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["check", "potential", "nowhere", "--settings", "{}"]) == 2
    said = capsys.readouterr()
    assert "there is no module w2dual.potentials.nowhere" in said.out.replace("\n", " ")
