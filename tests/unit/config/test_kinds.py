"""Which kinds there are is looked up, for the config's messages and for those of `make`."""

from pathlib import Path

import pytest

from w2dual import closure
from w2dual.config import kinds
from w2dual.config.schema import SCHEMA
from w2dual.config.strict_yaml import load


def test_what_there_is():
    assert {section: kinds.of(section) for section in kinds.ROOMS} == {
        "potentials": ["conv", "conv_icnn", "dense_icnn", "icnn", "mlp", "mlp_linear", "resnet"],
        "amortizations": ["none", "cycle", "objective", "regression"],
        "solvers": ["none", "adam", "lbfgs"],
        "amortization_model": ["gradient", "mlp_skip", "unet"],
        "methods": [
            *("ctransform", "dual", "enot", "lsot", "maximin", "maximin_map", "meta_dual"),
            *("meta_w2gn", "metric_recovery", "mm_batch", "mmv1", "nlsb", "refined_dual"),
            *("scarvelis", "w2gn", "w2gn_images", "wgan_qc"),
        ],
        "obstacles": ["box", "hill", "slit", "well"],
        "measures.synthetic": ["images", "synthetic"],
    }


def test_the_schema_has_the_settings_of_kinds_that_there_are():
    for section, known in load(SCHEMA)["$defs"]["kinds"].items():
        assert set(known) == set(kinds.of(section)), section


def test_a_module_that_is_added_is_a_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    texts = {
        "measures/pairs/mine.py": "def make(settings): ...",
        "measures/pairs/read.py": "def from_arrays(): ...",
        "measures/preparation/plane.py": "SECTION = 'measures.synthetic'\ndef prepare(): ...",
        "measures/preparation/other.py": "def prepare(): ...",
        "conjugate/newton.py": "def make(settings): ...",
        "conjugate/base.py": "def make(settings): ...",
    }
    for name, text in texts.items():
        path = tmp_path / "w2dual" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    package = tmp_path / "w2dual"
    modules_with, constant = closure.modules_with, closure.constant
    monkeypatch.setattr(
        closure, "modules_with", lambda room, function: modules_with(room, function, package)
    )
    monkeypatch.setattr(closure, "constant", lambda module, name: constant(module, name, package))
    assert kinds.of("measures.synthetic") == ["mine", "plane"]
    assert kinds.of("solvers") == ["none", "newton"]
    assert kinds.of("potentials") == []
