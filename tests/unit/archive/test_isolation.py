"""What is kept from being found by name in a folder, and that it is put back."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from w2dual.archive import isolation


def test_paths_and_settings_are_put_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "bin").mkdir()
    monkeypatch.setattr(sys, "path", ["", "relative", str(tmp_path / "lib"), *sys.path])
    monkeypatch.setenv("PATH", f"relative:{tmp_path / 'bin'}:/usr/bin")
    monkeypatch.setenv("MPLCONFIGDIR", str(tmp_path / "settings"))
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.delenv("MATPLOTLIBRC", raising=False)
    before, variables = list(sys.path), dict(os.environ)
    with isolation.kept_from(tmp_path):
        assert all(os.path.isabs(name) for name in sys.path)
        assert str(tmp_path / "lib") not in sys.path
        assert os.environ["PATH"] == "/usr/bin"
        assert "MPLCONFIGDIR" not in os.environ
        assert "XDG_CACHE_HOME" not in os.environ
    assert sys.path == before
    assert dict(os.environ) == variables
