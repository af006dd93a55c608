"""Which files a command reads where no option names one."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import pytest

from w2dual.config import places
from w2dual.jobs import defaults
from w2dual.records import InputError

ROOT = Path(__file__).parents[3]


def parsed(declare, *words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    declare(parser)
    return parser.parse_args(words)


@pytest.mark.parametrize("declare", [defaults.add_whole_config, defaults.add_config_arguments])
def test_the_config_of_this_folder_goes_before_the_projects(
    declare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.chdir(tmp_path)
    assert defaults.config_files(parsed(declare)) == [str(ROOT / "config.yaml")]
    assert f"config.yaml is not in this folder; {ROOT / 'config.yaml'} is read" in caplog.text
    caplog.clear()
    Path("config.yaml").write_text("{}", encoding="utf-8")
    assert defaults.config_files(parsed(declare)) == ["config.yaml"]
    assert not caplog.records


def test_files_that_are_named_are_taken_as_they_are() -> None:
    whole = parsed(defaults.add_whole_config, "--configfile", "a.yaml", "b.yaml")
    assert defaults.config_files(whole) == ["a.yaml", "b.yaml"]
    both = parsed(defaults.add_config_arguments, "--config", "a.yaml", "--configfile", "b.yaml")
    assert defaults.config_files(both) == ["a.yaml", "b.yaml"]
    assert defaults.costs_file(parsed(defaults.add_costs, "--costs", "c.csv")) == Path("c.csv")


def test_published_values_are_found_wherever_the_code_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "tables/published/hd_mlp.csv"
    assert places.own(name) == ROOT / name
    monkeypatch.setattr(places, "CHECKOUT", tmp_path / "none")
    assert places.own(name) is None
    monkeypatch.setattr(places, "SHIPPED", ROOT)
    assert places.own(name) == ROOT / name


def test_an_installed_package_reads_what_it_ships(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(places, "CHECKOUT", tmp_path / "none")
    monkeypatch.setattr(places, "SHIPPED", tmp_path / "shipped")
    with pytest.raises(InputError) as raised:
        defaults.costs_file(parsed(defaults.add_costs))
    for words in ("reference/costs.csv: there is no such file", str(tmp_path / "shipped"), "here"):
        assert words in str(raised.value)
    shipped = tmp_path / "shipped" / "reference" / "costs.csv"
    shipped.parent.mkdir(parents=True)
    shipped.write_text("", encoding="utf-8")
    assert defaults.costs_file(parsed(defaults.add_costs)) == shipped
