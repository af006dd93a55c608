"""Names where they are names, and words where they are words."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from tests.unit import small_archive
from tests.unit.small_archive import HD, RUN, contents, write_json

from w2dual.archive import bundle, layout, scrub
from w2dual.archive.scrub import Machine
from w2dual.jobs.dispatch import call
from w2dual.records import InputError, load_arrays, read_json, save_arrays

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
WORDS = ("adam", "smoke", "cycle", "mlp", "lbfgs", "regression")
"""Names of people and machines that are words of the source, of the config, of cells."""


def machine(*names: str) -> Machine:
    return Machine(("/home/jdoe/w2dual",), names, frozenset(WORDS) & set(names))


PLAIN = {
    "a.json": b'{"solver": "adam", "kinds": ["cycle", "mlp"], "name": "hd2-mlp-regression-lbfgs"}',
    "tables/a.tex": rb"cycle & adam~smoke \\alpha mlp/lbfgs, see src/w2dual/conjugate/adam.py",
    "tables/a.html": b"<td>adam</td> <a href='https://example.org/adam/x'>mlp</a> runs/smoke/adam",
    "report.html": b"@media adam{} x=/adam/g; import 'cycle'; a.mlp.smoke(lbfgs)",
    "a.pdf": b"%PDF /Type /adam /Differences [ /mlp /cycle ] \xff\x00 lbfgs",
}
NAMED = {
    "home": "read /home/{name}/mirror/x.pt",
    "home-alone": "cd /home/{name}",
    "disk": "in /bigdisk/{name}/runs",
    "url": "file:///home/{name}/x",
    "tilde": "~{name}/x.pt",
    "at-host": "{name}@cluster",
    "at": "someone@{name}",
    "host": '"host": "{name}"',
    "escaped": r'{{\\"host\\": \\"{name}\\"}}',
    "variable": "LOGNAME={name}",
    "yaml": "hostname: {name}",
    "copied": "{name}:/data/x.pt",
    "attempt": "attempt 2 on {name}, SLURM job 7: begins at step 0",
}


@pytest.mark.parametrize("file", PLAIN)
@pytest.mark.parametrize("name", WORDS)
def test_a_name_that_is_a_word_may_stand_where_words_stand(file: str, name: str):
    assert list(scrub.leaks(file, PLAIN[file], machine(name))) == []


@pytest.mark.parametrize("name", [*WORDS, "jd", "tom", "gpu17", "j.doe"])
@pytest.mark.parametrize("where", NAMED)
def test_a_name_is_found_where_names_stand(where: str, name: str):
    said = NAMED[where].format(name=name)
    assert list(scrub.leaks("a.csv", said.encode(), machine(name))) == [f"the name {name}"]
    after = scrub.text(said, machine(name))
    assert list(scrub.leaks("a.log", after.encode(), machine(name))) == []
    assert name not in after


@pytest.mark.parametrize("where", ["home", "host", "escaped", "variable", "url", "at", "at-host"])
def test_a_name_is_found_in_bytes_too(where: str):
    said = NAMED[where].format(name="gpu17").encode()
    for content in (b"\x00" + said, b"\xff" + said):
        assert list(scrub.leaks("a.safetensors", content, machine("gpu17"))) == ["the name gpu17"]


def test_a_name_that_is_no_word_is_found_anywhere_in_our_texts():
    jdoe = machine("jdoe", "adam", "tom")
    for said, found in (("by jdoe", ["the name jdoe"]), ("by adam and tom", []), ("x-jdoe", [])):
        assert list(scrub.leaks("tables/a.csv", said.encode(), jdoe)) == found
    # A short name turns up by chance in pixels, and in the libraries of a page.
    assert list(scrub.leaks("a.png", b"\x00 jdoe ", jdoe)) == []
    assert list(scrub.leaks("report.html", b" jdoe ", jdoe)) == []
    whole = machine("node17.cluster.example.org")
    assert list(scrub.leaks("a.png", b"\x00 node17.cluster.example.org", whole))
    assert list(scrub.leaks("a.csv", b"1024,0.1024", machine("1024"))) == []


def test_a_log_keeps_its_words_and_loses_names_and_folders():
    before = (
        "training hd2-mlp-none-adam by adam, smoke: /home/jdoe/w2dual/runs/x.pt and "
        "/home/jdoe/w2dual, /home/adam, adam@gpu17, on gpu17 by jdoe\n"
        "attempt 1 on gpu16: began at step 0\n"
    )
    after = scrub.text(before, machine("adam", "smoke", "gpu17", "jdoe"))
    assert after == (
        "training hd2-mlp-none-adam by adam, smoke: <path>/x.pt and "
        "<path>, <path>/<name>, <name>@<name>, on <name> by <name>\n"
        "attempt 1 on <name>: began at step 0\n"
    )


def test_a_folder_with_a_space_is_taken_out_as_a_whole():
    spaced = Machine(("/home/j doe/w2dual",), ())
    said = "read /home/j doe/w2dual/runs/x.pt in /home/j doe/w2dual"
    assert scrub.text(said, spaced) == "read <path>/x.pt in <path>"
    assert list(scrub.leaks("a.csv", said.encode(), spaced)) == ["the folder /home/j doe/w2dual"]


def test_this_machine_has_its_names_and_those_that_records_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("LOGNAME", "adam")
    monkeypatch.setattr("platform.node", lambda: "login1.cluster.example.org")
    (tmp_path / "disk").mkdir()
    (tmp_path / "runs").symlink_to(tmp_path / "disk")
    here = Machine.here((ROOT, tmp_path / "runs"), ["gpu17", "mlp"], ["solver: adam_w, hd2-mlp"])
    names = {"adam", "login1", "login1.cluster.example.org", "gpu17", "mlp"}
    assert set(here.names) == names
    assert here.words == {"adam", "mlp"}
    wanted = {ROOT, tmp_path / "runs", tmp_path / "disk", Path(os.path.expanduser("~"))}
    assert set(map(str, wanted)) <= set(here.folders)


# ---------------------------------------------------------------- whole archives


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    """A checkout with a run in it that nobody trained."""
    return small_archive.make(tmp_path_factory.mktemp("checkout") / "w2dual", trained=False)


@pytest.mark.parametrize("name", ["adam", "lbfgs", "tom"])
def test_whoever_logs_in_can_make_an_archive(
    run: tuple[Path, dict], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
):
    root, record = run
    monkeypatch.setenv("LOGNAME", name)
    monkeypatch.setattr("platform.node", lambda: "mlp" if name == "adam" else "gpu17")
    log = root / RUN / "logs" / "train" / f"{HD}.log"
    log.write_text(f"by {name}@gpu17 on gpu17 in /home/{name}/x\n")
    record = json.loads(json.dumps(record))
    record["config"]["measures"]["synthetic"]["images"]["source"] = f"/home/{name}/picture.png"
    bundle.make(small_archive.plan_of(record), root, root / RUN, tmp_path / "out.zip", call)
    found = contents(tmp_path / "out.zip")
    assert b"source: picture.png" in found[layout.CONFIG]
    assert f"/home/{name}".encode() not in found[f"{RUN}/logs/train/{HD}.log"]
    history = root / RUN / "results" / "train" / HD / "history.csv"
    before = history.read_text()
    history.write_text(before + f"# {name}@gpu17\n")
    try:
        with pytest.raises(InputError, match=rf"history\.csv: names .*the name {name}"):
            bundle.make(small_archive.plan_of(record), root, root / RUN, tmp_path / "out.zip", call)
    finally:
        history.write_text(before)


@pytest.mark.parametrize("room", ["conjugation", "meta_sinkhorn", "color"])
def test_hosts_of_all_records_are_taken_out(run: tuple[Path, dict], tmp_path: Path, room: str):
    """Also those of studies; and their names out of logs that were written there."""
    root, record = run
    made = {"provenance": {"host": "gpu23", "git_commit_unknown": f"{root} is not a git checkout"}}
    study = f"results/{room}/hd2.safetensors"
    write_json(root / RUN / "results" / "conjugation" / "times.json", made)
    (root / RUN / study).parent.mkdir(exist_ok=True)
    save_arrays(root / RUN / study, {}, made)
    log = root / RUN / "logs" / "train" / f"{HD}.log"
    log.write_text("ran on gpu23\n")
    more = record | {"files": [*record["files"], "results/conjugation/times.json", study]}
    bundle.make(small_archive.plan_of(more), root, root / RUN, tmp_path / "out.zip", call)
    found = contents(tmp_path / "out.zip")
    wanted = {"provenance": {"host": None, "git_commit_unknown": "<path> is not a git checkout"}}
    assert json.loads(found[f"{RUN}/results/conjugation/times.json"]) == wanted
    (tmp_path / "a.safetensors").write_bytes(found[f"{RUN}/{study}"])
    assert load_arrays(tmp_path / "a.safetensors")[1] == wanted
    assert found[f"{RUN}/logs/train/{HD}.log"] == b"ran on <name>\n"
    assert not [name for name, content in found.items() if b"gpu23" in content]
    assert read_json(root / RUN / "results" / "conjugation" / "times.json") == made
