"""A seed has 32 bits: one that would be cut is refused wherever it enters."""

import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from w2dual import rng, seeds
from w2dual.__main__ import main
from w2dual.config import reader
from w2dual.config.cells import Cell
from w2dual.config.grid import grid
from w2dual.measures.preparation.benchmark import Settings
from w2dual.records import InputError

ROOT = Path(__file__).parents[2]
CONFIG = [ROOT / "config.yaml", ROOT / "presets" / "smoke.yaml"]
GOOD = [0, 1, 2**31 - 1, 2**31, 2**32 - 1, np.int64(3), np.uint32(2**32 - 1)]
BAD: list[Any] = [-1, 2**32, 2**32 + 1, 20260101120000, True, np.True_, 1.0, 0.5, "1", None, [1]]


@pytest.mark.parametrize("seed", BAD, ids=repr)
def test_no_key_is_made_of_what_is_no_seed(seed: Any):
    with pytest.raises(InputError, match=r"seed: .*expected a whole number from 0 to 4294967295"):
        rng.stream(seed, "source")


def test_each_seed_has_a_key_of_its_own():
    keys = {tuple(np.asarray(jax.random.key_data(rng.stream(s, "x"))).tolist()) for s in GOOD}
    assert len(keys) == len(set(map(int, GOOD)))


def test_arrays_of_jax_pass():
    of_array = rng.stream(jnp.uint32(7), "x")
    assert (jax.random.key_data(of_array) == jax.random.key_data(rng.stream(7, "x"))).all()


@pytest.mark.parametrize("setting", rng.DRAWS)
def test_no_key_is_made_where_jax_would_draw_otherwise(setting: str):
    before = jax.config.values[setting]
    other = {"jax_default_prng_impl": "rbg", "jax_random_seed_offset": 7}.get(setting, not before)
    jax.config.update(setting, other)
    try:
        with pytest.raises(InputError, match=f"unset {setting.upper()}"):
            rng.stream(0, "x")
    finally:
        jax.config.update(setting, before)


# ---------------------------------------------------------------- the config


def places(node: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every key of the config that names a seed or a list of them."""
    if not isinstance(node, dict):
        return []
    here = [str(key) for key in node]
    found = [(*path, key) for key in here if key in ("seed", "seeds") or key.endswith("_seed")]
    return found + [p for key, value in node.items() for p in places(value, (*path, str(key)))]


PLACES = places(reader.read(CONFIG))


@pytest.mark.parametrize("place", PLACES, ids=".".join)
@pytest.mark.parametrize("seed", [-1, 2**32, True, 1.0, "1"], ids=repr)
def test_the_config_refuses_what_is_no_seed(place: tuple[str, ...], seed: Any):
    changed = reader.read(CONFIG)
    *path, last = place
    section = changed
    for key in path:
        section = section[key]
    section[last] = [0, seed] if last == "seeds" else seed
    with pytest.raises(InputError, match="from 0 to 4294967295") as caught:
        reader.validate(changed)
    assert ".".join(place) in str(caught.value)


def test_the_config_has_seeds_for_each_grid_and_refuses_duplicates():
    grids = {place[0] for place in PLACES if place[-1] == "seeds"}
    assert grids == {name for name, part in reader.read(CONFIG).items() if "seeds" in (part or ())}
    assert len(grids) > 7
    for place in PLACES:
        if place[-1] == "seeds":
            changed = reader.read(CONFIG)
            changed[place[0]]["seeds"] = [3, 1, 3]
            with pytest.raises(InputError, match=f"{place[0]}.seeds.*non-unique"):
                reader.validate(changed)


# ---------------------------------------------------------------- records and command lines


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([0, 2**32], "4294967296 is out of range"),
        ([0, 1.0], "1.0 is not a seed"),
        ([True], "True is not a seed"),
        ([1, 0, 1], "duplicate 1; each would train the same network"),
        ([], r"\[\] is not a list of seeds"),
        ("01", "'01' is not a list of seeds"),
        (3, "3 is not a list of seeds"),
        (None, "None is not a list of seeds"),
    ],
)
def test_a_record_of_a_cell_with_other_seeds_is_refused(
    given: Any, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    record = grid(reader.load(CONFIG))[0].to_json()
    del record["hash"]
    record["settings"] = record["settings"] | {"seeds": given}
    with pytest.raises(InputError, match=f"`settings.seeds`: .*{message}"):
        Cell.from_json(record)
    argv = ["train", "--cell", json.dumps(record), "--preset", "{}", "--measures", "none"]
    argv += ["--metrics", "m", "--history", "h", "--params", "p"]
    assert main(argv) == 2
    assert "`settings.seeds`" in capsys.readouterr().err


@pytest.mark.parametrize("key", ["moment_seed", "generated.seed"])
def test_a_pair_is_not_prepared_from_what_is_no_seed(key: str):
    settings = reader.load(CONFIG)["measures"]["benchmark"]
    section = settings["generated"] if "." in key else settings
    section[key.rpartition(".")[2]] = 2**32
    with pytest.raises(InputError, match=f"measures.benchmark.{key}: 4294967296 is out of range"):
        Settings.from_mapping(settings)


@pytest.mark.parametrize("text", ["-1", "4294967296", "1.0", "1e3", "1_0", "٣", "", " 1", "x"])
def test_options_refuse_what_is_no_seed(text: str, capsys: pytest.CaptureFixture[str]):
    for job in (
        ["verify", "a.zip"],
        ["trivial", "--pairs", "a", "--samples", "4", "--out", "b"],
    ):
        with pytest.raises(SystemExit) as caught:
            main([*job, f"--seed={text}"])
        assert caught.value.code == 2
        said = " ".join(capsys.readouterr().err.split())
        assert "argument --seed: " in said
        assert "expected a whole number from 0 to 4294967295" in said
    assert seeds.argument("4294967295") == 2**32 - 1
