"""An archive made, verified, and tampered with in more than twenty ways, each found and named."""

from __future__ import annotations

import errno
import json
import os
import shutil
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from tests.unit import small_archive
from tests.unit.small_archive import HD, PARTS, PLANE, RUN, contents, rewritten

from w2dual.__main__ import main
from w2dual.archive import bundle, container, crate, layout, rebuild, retrain, verify
from w2dual.archive.container import MANIFEST, Archive, Limits, Member
from w2dual.evaluation import reevaluation
from w2dual.jobs.dispatch import call
from w2dual.records import (
    InputError,
    file_sha256,
    load_arrays,
    read_json,
    save_arrays,
    write_json,
)

pytestmark = pytest.mark.slow

METRICS, HISTORY, PARAMS = (f"{RUN}/results/train/{HD}/{part}" for part in PARTS)
PLANE_PARAMS = f"{RUN}/results/train/{PLANE}/params.safetensors"
TABLE = f"{RUN}/tables/verdict_hd.tex"
PAGE = f"{RUN}/tables/verdict_hd.html"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The checkout, its plan's record, and the archive."""
    root, record = small_archive.make(tmp_path_factory.mktemp("checkout") / "w2dual")
    out = tmp_path_factory.mktemp("zip") / "bundle.zip"
    bundle.make(small_archive.plan_of(record), root, root / RUN, out, call)
    return root, record, out


@pytest.fixture(scope="module")
def path(made):
    return made[2]


def problems(path: Path, sample: int = 0) -> str:
    checks, report = verify.verify(path, call, sample)
    found = [line for check in checks for line in check.problems]
    assert ("**PASSED**" in report) == (not found)
    return "\n".join(found)


# ---------------------------------------------------------------- the archive


def test_an_archive_passes_and_its_report_says_so(path, capsys, tmp_path):
    report = tmp_path / "report.md"
    assert main(["verify", str(path), "--sample", "1", "--report", str(report)]) == 0
    text = capsys.readouterr().out
    assert text == report.read_text()
    for part in ("hashes", "RO-Crate", "cells", "tables from raw metrics", "cells evaluated again"):
        assert f"| {part} | passed |" in text
    assert file_sha256(path) in text
    assert "reduced budget" in text
    assert f"{HD}, l2_uvp_forward_percent" in text
    assert "the code that verifies is not" not in text


def test_the_same_inputs_give_the_same_bytes(made, tmp_path):
    root, record, path = made
    bundle.make(small_archive.plan_of(record), root, root / RUN, tmp_path / "again.zip", call)
    assert (tmp_path / "again.zip").read_bytes() == path.read_bytes()


def test_nothing_that_no_rule_made_and_nothing_of_the_machine(made):
    root, _, path = made
    found = contents(path)
    assert f"{RUN}/logs/train/{HD}.log" in found
    assert f"{RUN}/logs/stray.log" not in found
    assert not [name for name in found if "checkpoints" in name or "__pycache__" in name]
    log = found[f"{RUN}/logs/train/{HD}.log"].decode()
    assert log == "read <path>/x.pt and <path>/y.pt\n"
    assert json.loads(found[METRICS])["provenance"]["host"] is None
    assert read_json(root / METRICS)["provenance"]["host"]
    assert not [name for name, text in found.items() if str(root).encode() in text]


def test_a_file_that_names_the_machine_is_refused(made, tmp_path):
    root, record, _ = made
    history = root / HISTORY
    before = history.read_text()
    history.write_text(before + f"# {root}/secret\n")
    try:
        with pytest.raises(InputError, match=r"history\.csv: names the folder"):
            bundle.make(small_archive.plan_of(record), root, root / RUN, tmp_path / "out.zip", call)
    finally:
        history.write_text(before)


def test_parameters_are_those_of_one_seed_that_has_not_diverged(made, tmp_path):
    found = contents(made[2])
    for name, seeds in ((PARAMS, [0]), (PLANE_PARAMS, [0])):
        (tmp_path / "p.safetensors").write_bytes(found[name])
        arrays, metadata = load_arrays(tmp_path / "p.safetensors")
        whole, _ = load_arrays(made[0] / name)
        assert metadata["seeds"] == seeds
        for key, array in arrays.items():
            np.testing.assert_array_equal(array, whole[key][:1])


def test_a_lacking_output_and_a_size_beyond_the_bound_are_errors(made, tmp_path):
    root, record, _ = made
    out = tmp_path / "out.zip"
    lacking = record | {"files": [*record["files"], "tables/none.tex"]}
    plan = small_archive.plan_of(lacking)
    with pytest.raises(InputError, match=r"tables/none\.tex: no such file"):
        bundle.make(plan, root, root / RUN, out, call)
    small = json.loads(json.dumps(record))
    small["config"]["bundle"]["max_mb"] = 0.01
    with pytest.raises(InputError, match=r"bundle\.max_mb = 0\.01"):
        bundle.make(small_archive.plan_of(small), root, root / RUN, out, call)
    assert not out.exists()


def test_measures_beyond_their_bound_are_left_out_and_listed(made, tmp_path):
    root, record, _ = made
    small = json.loads(json.dumps(record))
    small["config"]["bundle"]["measures_mb"] = 0
    bundle.make(small_archive.plan_of(small), root, root / RUN, tmp_path / "out.zip", call)
    found = contents(tmp_path / "out.zip")
    measures = "results/measures/hd2.safetensors"
    assert f"{RUN}/{measures}" not in found
    assert list(json.loads(found[layout.LEFT_OUT])) == [measures]
    assert problems(tmp_path / "out.zip", sample=1) == ""


@pytest.mark.crate
def test_roc_validator_takes_it_for_a_workflow_run_crate_and_a_broken_one_not(path, tmp_path):
    def nothing_ran(record):
        record["@graph"] = [e for e in record["@graph"] if e["@id"] != "#run"]

    broken = rewritten(path, tmp_path / "t.zip", as_json(crate.METADATA, nothing_ran))
    root = small_archive.ROOT
    validator = [root / ".venv-crate" / "bin" / "python", root / "scripts" / "validate_crate.py"]
    said = subprocess.run([*validator, path, broken], capture_output=True, text=True, check=False)
    assert said.returncode == 1, said.stdout + said.stderr
    verdicts = [line.rpartition(": ")[2] for line in said.stdout.splitlines() if ".zip: " in line]
    assert [words.split()[0] for words in verdicts] == ["conforms", "FAILS"], said.stdout


# ---------------------------------------------------------------- tampering


def number(found, name=METRICS):
    """Change a number of the metrics."""
    record = json.loads(found[name])
    record["seeds"][0]["l2_uvp_forward_percent"] *= 0.5
    found[name] = json.dumps(record).encode()


def replace(name, old, new):
    def edit(found):
        assert old in found[name]
        found[name] = found[name].replace(old, new)

    return edit


def drop(name):
    return lambda found: found.pop(name)


def add(name, text=b"more"):
    return lambda found: found.__setitem__(name, text)


def as_json(name, change):
    def edit(found):
        record = json.loads(found[name])
        change(record)
        found[name] = json.dumps(record).encode()

    return edit


def other_settings(record):
    record["cell"]["settings"]["training"]["iterations"] = 250001


def lost_seed(record):
    record["seeds"].pop()


def arrays(change):
    """Change stored parameters and write them as the package does."""

    def edit(found, folder=Path("/tmp")):  # noqa: S108 -- replaced by the test's own
        target = folder / "tampered.safetensors"
        target.write_bytes(found[PARAMS])
        parts, metadata = load_arrays(target)
        save_arrays(target, change(parts), metadata)
        found[PARAMS] = target.read_bytes()

    edit.needs_folder = True
    return edit


def swapped(found):
    found[PARAMS] = found[PLANE_PARAMS]


def step(change):
    def edit(record):
        change(record["steps"])

    return as_json(layout.RENDER, edit)


def command_out(steps):
    words = steps[0]["arguments"]
    words[words.index("--out") + 1] = "../../../out.csv"


def command_out_at_once(steps):
    words = steps[0]["arguments"]
    words += ["--out=/tmp/out.csv"]


def command_out_like_json(steps):
    words = steps[0]["arguments"]
    words[words.index("--out") + 1] = "[/../../../../out.csv"


def command_trains(steps):
    steps[0]["arguments"][0] = "prepare"


def without_pages(steps):
    steps[:] = [one for one in steps if one["rule"] != "table_page"]


def page_of_no_step(found):
    """The page says what its table does not, and the command that made it is gone."""
    replace(PAGE, b"inconclusive", b"reproduced")(found)
    step(without_pages)(found)


def rule(steps, name, output=""):
    return next(one for one in steps if one["rule"] == name and output in one["outputs"][0])


def said_to_be_of_networks(found):
    """A table is changed, and its step says that it is made of parameters: not made again."""
    replace(TABLE, b"inconclusive", b"reproduced")(found)
    step(lambda steps: rule(steps, "verdict")["inputs"].append("x.safetensors"))(found)


def settings_of_a_file(found):
    """Settings of another budget, where only the job finds them."""

    def edit(steps):
        words = rule(steps, "verdict")["arguments"]
        place = words.index("--settings") + 1
        found[f"{RUN}/tables/s.json"], words[place] = words[place].encode(), "tables/s.json"

    step(edit)(found)


def margin(steps):
    words = rule(steps, "verdict")["arguments"]
    place = words.index("--settings") + 1
    settings = json.loads(words[place])
    settings["verdict"]["margin_fraction"] = 99
    words[place] = json.dumps(settings)


def metrics_elsewhere(found):
    """Tables follow from forged metrics beside the true ones."""
    found[f"{RUN}/logs/m.json"] = found[METRICS]
    own = f"results/train/{HD}/metrics.json"

    def edit(steps):
        one = rule(steps, "aggregate", "hd_mlp")
        one["arguments"] = ["logs/m.json" if word == own else word for word in one["arguments"]]

    step(edit)(found)


def tidy_metrics_by_hash_alone(found):
    """What tables are made of is said to be the trivial maps' scores, which are not made again."""

    def edit(steps):
        one = rule(steps, "aggregate", "hd_mlp")
        one["arguments"][-1] = one["outputs"][0] = "results/metrics/other.csv"
        words = ["trivial", "--pairs", "results/measures/hd2.safetensors", "--samples", "8"]
        words += ["--seed", "0", "--out", "results/metrics/hd_mlp.csv"]
        steps.append({"rule": "b", "arguments": words, "inputs": [], "outputs": words[-1:]})

    step(edit)(found)
    found[f"{RUN}/results/metrics/other.csv"] = found[f"{RUN}/results/metrics/hd_mlp.csv"]


def git_settings(steps):
    words = ["table-page", "--csv", "tables/verdict_hd.csv", "--html", "../../.git/config"]
    steps.append({"rule": "b", "arguments": words, "inputs": [], "outputs": words[-1:]})


def cells_lost(steps):
    words = rule(steps, "aggregate")["arguments"]
    del words[words.index("--cells") : words.index("--cells") + 2]


def cells_of_another_kind(steps):
    words = rule(steps, "aggregate")["arguments"]
    words[words.index("--cells") + 1] = '{"a": 1}'


def written_twice(steps):
    steps.append(dict(rule(steps, "claims")))


def no_number(record):
    record["seeds"][0]["l2_uvp_forward_percent"] = float("inf")


def full_budget(steps):
    for one in steps:
        one["arguments"] = [word.replace('"reduced": true', '"reduced": false') for word in
                            one["arguments"]]  # fmt: skip


FOUND_BY_HASH = [
    pytest.param(number, METRICS, "was changed", id="changed-metric"),
    pytest.param(add(TABLE, b"forged"), TABLE, "was changed", id="changed-table"),
    pytest.param(drop(METRICS), METRICS, "is missing", id="missing-metrics"),
    pytest.param(drop("LICENSE"), "LICENSE", "is missing", id="missing-licence"),
    pytest.param(drop(MANIFEST), MANIFEST, "is missing", id="missing-manifest"),
    pytest.param(drop(crate.METADATA), crate.METADATA, "is missing", id="missing-crate"),
    pytest.param(add("extra.txt"), "extra.txt", "was added", id="extra-file"),
    pytest.param(
        add(MANIFEST, b"zz  LICENSE\n"), MANIFEST, "line 1 is not a SHA-256", id="broken-manifest"
    ),
    pytest.param(
        replace("src/w2dual/results/verdict.py", b"alpha", b"omega"),
        "src/w2dual/results/verdict.py",
        "was changed",
        id="changed-source",
    ),
]


@pytest.mark.parametrize(("edit", "name", "said"), FOUND_BY_HASH)
def test_plain_tampering_is_found_and_named(path, tmp_path, edit, name, said):
    found = problems(rewritten(path, tmp_path / "t.zip", edit))
    assert any(name in line and said in line for line in found.splitlines()), found


FOUND_IN_SPITE_OF_HASHES = [
    pytest.param(number, "hd_mlp.csv", "does not follow from the metrics", id="metric"),
    pytest.param(
        replace(TABLE, b"inconclusive", b"reproduced"), TABLE, "does not follow", id="table"
    ),
    pytest.param(replace(PAGE, b"inconclusive", b"reproduced"), PAGE, "does not follow", id="page"),
    pytest.param(page_of_no_step, PAGE, "no recorded command", id="page-of-no-command"),
    pytest.param(drop(METRICS), METRICS, "is missing", id="missing-metrics"),
    pytest.param(drop(PARAMS), PARAMS, "is missing", id="missing-parameters"),
    pytest.param(add(f"{RUN}/tables/mine.tex"), "mine.tex", "no recorded command", id="table-more"),
    pytest.param(
        add(f"{RUN}/results/train/hd2-x/metrics.json"), "hd2-x", "is not a cell", id="cell-more"
    ),
    pytest.param(
        as_json(METRICS, other_settings), METRICS, "is not that of its settings", id="settings"
    ),
    pytest.param(as_json(METRICS, lost_seed), "hd_mlp.csv", "cannot be made again", id="seed-less"),
    pytest.param(swapped, PARAMS, "parameters of another cell", id="swapped-parameters"),
    pytest.param(
        replace(layout.CONFIG, b"batch_size: 64\n", b"batch_size: 1024\n"),
        METRICS,
        "other settings",
        id="config",
    ),
    pytest.param(
        replace(layout.CONFIG, b"reduced: true", b"reduced: false"),
        METRICS,
        "preset is not that",
        id="budget-in-config",
    ),
    pytest.param(said_to_be_of_networks, TABLE, "does not follow", id="table-of-networks"),
    pytest.param(settings_of_a_file, layout.RENDER, "the JSON text itself", id="settings-of-file"),
    pytest.param(step(margin), layout.RENDER, "another `verdict`", id="margin"),
    pytest.param(metrics_elsewhere, layout.RENDER, "metrics of its cells", id="metrics-elsewhere"),
    pytest.param(
        tidy_metrics_by_hash_alone, layout.RENDER, "hd_mlp.csv, which is not made", id="hash-alone"
    ),
    pytest.param(step(git_settings), layout.RENDER, "writes ../../.git/config", id="git-settings"),
    pytest.param(step(cells_lost), layout.RENDER, "metrics of its cells", id="cells-lost"),
    pytest.param(step(cells_of_another_kind), layout.RENDER, "records with name", id="cells-other"),
    pytest.param(step(written_twice), layout.RENDER, "several steps write it", id="written-twice"),
    pytest.param(as_json(METRICS, no_number), METRICS, "not a finite number", id="infinite-metric"),
    pytest.param(add(METRICS, b"[" * 10**5), METRICS, "nested too deeply", id="deep-metrics"),
    pytest.param(
        add(layout.RENDER, b"[" * 10**5), layout.RENDER, "nested too deeply", id="deep-commands"
    ),
    pytest.param(step(full_budget), layout.RENDER, "another preset", id="budget-in-command"),
    pytest.param(step(command_out), layout.RENDER, "leads out of the archive", id="command-out"),
    pytest.param(step(command_out_at_once), layout.RENDER, "value apart", id="command-out-at-once"),
    pytest.param(
        step(command_out_like_json), layout.RENDER, "leads out", id="command-out-like-json"
    ),
    pytest.param(step(command_trains), layout.RENDER, "not a job that renders", id="command-other"),
    pytest.param(step(lambda steps: steps.clear()), layout.RENDER, "no command", id="no-commands"),
    pytest.param(
        arrays(lambda parts: {k: a * np.nan for k, a in parts.items()}),
        PARAMS,
        "is not finite",
        id="broken-parameters",
    ),
    pytest.param(
        replace(f"{RUN}/results/measures/hd2.safetensors", b"closed", b"closet"),
        "hd2.safetensors",
        "is not what",
        id="measures",
    ),
]


@pytest.mark.parametrize(("edit", "name", "said"), FOUND_IN_SPITE_OF_HASHES)
def test_a_forger_who_mends_the_hashes_is_found_too(path, tmp_path, edit, name, said):
    inside = {"folder": tmp_path} if hasattr(edit, "needs_folder") else {}
    changed = rewritten(path, tmp_path / "t.zip", lambda f: edit(f, **inside), rehash=True)
    found = problems(changed)
    assert any(name in line and said in line for line in found.splitlines()), found


def test_a_crate_that_disagrees_with_the_files_is_found(path, tmp_path):
    def edit(found):
        record = json.loads(found[crate.METADATA])
        (entity,) = [e for e in record["@graph"] if e["@id"] == TABLE]
        entity["sha256"] = "0" * 64
        parts = next(e for e in record["@graph"] if e["@id"] == "./")["hasPart"]
        parts.remove({"@id": METRICS})
        found[crate.METADATA] = json.dumps(record).encode()

    found = problems(rewritten(path, tmp_path / "t.zip", edit))
    assert f"{TABLE}: the crate gives it another SHA-256" in found
    assert f"{METRICS}: is not part of the crate" in found


def test_forged_numbers_that_all_agree_are_found_by_evaluating_again(made, tmp_path):
    """Metrics, tables, hashes and crate forged as one; the network knows better."""
    root, record, path = made
    before = (root / METRICS).read_bytes()
    forged = json.loads(before)
    for entry in forged["seeds"]:
        entry["l2_uvp_forward_percent"] *= 0.5
    steps = small_archive.plan_of(record).steps
    outputs = {name: (root / RUN / name).read_bytes() for one in steps for name in one.outputs}
    (root / METRICS).write_text(json.dumps(forged))
    try:
        for one in record["steps"]:
            small_archive.rendering(one["command"], root / RUN)
        bundle.make(small_archive.plan_of(record), root, root / RUN, tmp_path / "t.zip", call)
    finally:
        (root / METRICS).write_bytes(before)
        for name, text in outputs.items():
            (root / RUN / name).write_bytes(text)
    assert problems(tmp_path / "t.zip", sample=0) == ""
    found = problems(tmp_path / "t.zip", sample=1)
    assert PARAMS in found
    assert "l2_uvp_forward_percent" in found
    assert "l2_uvp_inverse_percent" not in found


def test_a_cell_of_the_benchmark_is_evaluated_again_whatever_it_calls_its_headline(path, tmp_path):
    def edit(record):
        record["headline"] = {"column": "w2_forward", "label": "W2"}
        record["seeds"][0]["l2_uvp_forward_percent"] *= 0.5

    changed = rewritten(path, tmp_path / "t.zip", as_json(METRICS, edit), rehash=True)
    assert "l2_uvp_forward_percent" in problems(changed, sample=1)


def test_published_values_of_another_make_are_noted(path, tmp_path):
    """They decide verdicts, and an archive has its own."""
    name = "tables/published/hd_mlp.csv"
    out = rewritten(path, tmp_path / "t.zip", replace(name, b"0.", b"1."), rehash=True)
    _, report = verify.verify(out, call, 0)
    assert f"published values are not those of the code that verifies: {name};" in report
    assert "published values" not in verify.verify(path, call, 0)[1]


def test_parameters_changed_by_a_percent_are_found_by_evaluating_again(path, tmp_path):
    change = arrays(lambda parts: {key: 0.99 * array for key, array in parts.items()})
    changed = rewritten(path, tmp_path / "t.zip", lambda f: change(f, tmp_path), rehash=True)
    assert problems(changed, sample=0) == ""
    found = problems(changed, sample=1)
    assert PARAMS in found
    assert "on the same samples" in found


def test_parameters_with_other_numbers_are_found_on_fresh_samples(path, tmp_path):
    """Halved, they are far enough off for the interval too, which stands on its own."""
    change = arrays(lambda parts: {key: 0.5 * array for key, array in parts.items()})
    changed = rewritten(path, tmp_path / "t.zip", lambda f: change(f, tmp_path), rehash=True)
    assert "on fresh samples" in problems(changed, sample=1)


def test_an_error_that_is_no_number_any_more_is_found(path, tmp_path):
    """The forward error has nothing of the amortization model, the inverse starts from it."""
    change = arrays(
        lambda parts: {k: 1e30 * a if k.startswith("model/") else a for k, a in parts.items()}
    )
    changed = rewritten(path, tmp_path / "t.zip", lambda f: change(f, tmp_path), rehash=True)
    found = problems(changed, sample=1)
    assert "l2_uvp_inverse_percent" in found
    assert "l2_uvp_forward_percent" not in found


def test_the_interval_covers_as_often_as_it_says():
    """Squared errors of a heavy-tailed law; the stored number is a mean of 16 times as many."""
    generator = np.random.default_rng(0)
    repeats, size, confidence = 400, 64, 0.9
    samples = 16 * size
    hits = 0
    for _ in range(repeats):
        stored = generator.chisquare(2, samples).mean()
        fresh = generator.chisquare(2, (16, size)).mean(-1)
        width = reevaluation.compare(stored, samples, fresh, size, confidence)
        hits += abs(fresh.mean() - stored) <= width
    assert abs(hits / repeats - confidence) < 0.045  # three standard errors


# ---------------------------------------------------------------- the zip itself


def entry(name, mode=0o100644):
    info = zipfile.ZipInfo(name, container.TIME)
    info.external_attr = mode << 16
    info.create_system = 3
    info.compress_type = zipfile.ZIP_DEFLATED
    return info


def zipped(path, *entries):
    with zipfile.ZipFile(path, "w") as out:
        for info, text in entries:
            out.writestr(info, text)
    return path


UNSAFE = [
    pytest.param("../evil.txt", 0o100644, "leads out of the archive", id="parent"),
    pytest.param("a/../../evil.txt", 0o100644, "leads out of the archive", id="parent-within"),
    pytest.param("/etc/evil", 0o100644, "is an absolute path", id="absolute"),
    pytest.param("C:/evil", 0o100644, "is an absolute path", id="drive"),
    pytest.param("a\\..\\evil", 0o100644, "backslash", id="backslash"),
    pytest.param("a\u202etxt.py", 0o100644, "control character", id="right-to-left"),
    pytest.param(".g\u200cit/config", 0o100644, "control character", id="git-ignorable"),
    pytest.param("GIT~1/config", 0o100644, "part of a git repository", id="git-short"),
    pytest.param("link", 0o120777, "is a symbolic link", id="symlink"),
    pytest.param("pipe", 0o010644, "is not a regular file", id="pipe"),
    pytest.param("folder/", 0o040755, "is a folder", id="folder"),
]


@pytest.mark.parametrize(("name", "mode", "said"), UNSAFE)
def test_an_unsafe_member_is_named_and_nothing_unpacked(tmp_path, name, mode, said):
    path = zipped(tmp_path / "t.zip", (entry("fine.txt"), b"1"), (entry(name, mode), b"target"))
    found = problems(path)
    assert said in found
    assert repr(name) in found
    assert main(["unpack", str(path), "--into", str(tmp_path / "out")]) == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["t.zip"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("name", "other"),
    [("a.txt", "a.txt"), ("a.txt", "A.TXT"), ("\N{LATIN SMALL LETTER E WITH ACUTE}", "e\u0301")],
)
def test_a_member_that_stands_twice_is_named(tmp_path, name, other):
    """Also where some disks alone take two names for one: by case, or by how an accent is put."""
    found = problems(zipped(tmp_path / "t.zip", (entry(name), b"1"), (entry(other), b"2")))
    assert repr(other) in found
    assert "duplicate" in found


def test_a_member_that_is_file_and_folder_is_named(tmp_path):
    found = problems(zipped(tmp_path / "t.zip", (entry("a"), b"1"), (entry("a/b"), b"2")))
    assert "'a': is a file and a folder" in found


def test_an_archive_bomb_is_named(tmp_path):
    found = problems(zipped(tmp_path / "t.zip", (entry("bomb.txt"), bytes(64 * 2**20))))
    assert "'bomb.txt': unpacks to" in found


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (Limits(members=2), "3 members, expected at most 2"),
        (Limits(total_bytes=5), "6 bytes unpacked, expected at most 5"),
        (Limits(member_bytes=2), "'c': 3 bytes unpacked"),
    ],
)
def test_an_archive_beyond_its_limits_is_refused(tmp_path, limits, said):
    parts = [(entry(name), name.encode() * n) for n, name in enumerate("abc", start=1)]
    with pytest.raises(InputError, match=said):
        Archive(zipped(tmp_path / "t.zip", *parts), limits)


def test_overlapping_members_are_named(tmp_path):
    """Two entries of the directory on one member, as in a bomb that shares its bytes."""
    path = zipped(tmp_path / "t.zip", (entry("a"), b"one"), (entry("b"), b"one"))
    text = bytearray(path.read_bytes())
    second = text.rindex(b"PK\x01\x02")
    struct.pack_into("<I", text, second + 42, 0)  # the offset of its local header
    path.write_bytes(text)
    assert "overlaps another member" in problems(path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(lambda text: b"#!/bin/sh\n" + text, "hidden bytes", id="before"),
        pytest.param(lambda text: text + b"more", "", id="after"),
        pytest.param(lambda text: text[: len(text) // 2], "cut short", id="truncated"),
        pytest.param(lambda text: b"not a zip", "no zip file", id="no-zip"),
    ],
)
def test_bytes_outside_of_members_are_found(path, tmp_path, change, said):
    other = tmp_path / "t.zip"
    other.write_bytes(change(path.read_bytes()))
    found = problems(other)
    assert found
    assert said in found


def test_a_comment_is_found(path, tmp_path):
    other = tmp_path / "t.zip"
    other.write_bytes(path.read_bytes())
    with zipfile.ZipFile(other, "a") as out:
        out.comment = b"hello"
    assert "has a comment" in problems(other)


def test_an_encrypted_member_is_named(path, tmp_path):
    text = bytearray(path.read_bytes())
    at = text.rindex(b"PK\x01\x02")
    text[at + 8] |= 1
    (tmp_path / "t.zip").write_bytes(text)
    assert "is encrypted" in problems(tmp_path / "t.zip")


def test_a_damaged_member_is_named(path, tmp_path):
    text = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as opened:
        info = opened.getinfo(TABLE)
    for offset in range(8):
        text[info.header_offset + 30 + len(TABLE) + info.compress_size // 2 + offset] ^= 0xFF
    (tmp_path / "t.zip").write_bytes(text)
    assert TABLE in problems(tmp_path / "t.zip")


# ---------------------------------------------------------------- from the archive


@pytest.fixture(scope="module")
def unpacked(path, tmp_path_factory):
    root = tmp_path_factory.mktemp("unpacked") / "here"
    assert main(["unpack", str(path), "--into", str(root)]) == 0
    return root


def test_rebuilds_tables_to_the_same_bytes(unpacked):
    for name in (TABLE, f"{RUN}/tables/hd_mlp.csv"):
        (unpacked / name).unlink()
    assert main(["rebuild", "--root", str(unpacked)]) == 0
    same, other, lacking = rebuild.rebuild(unpacked, call)
    assert TABLE in same
    assert (other, lacking) == ([], {})


def test_retrains_a_cell_to_the_same_numbers(unpacked, tmp_path, capsys, monkeypatch):
    archived = read_json(unpacked / METRICS)["provenance"]["xla_flags"]
    assert archived
    monkeypatch.setenv("XLA_FLAGS", "")  # as in a reviewer's shell
    arguments = ["--root", str(unpacked), "--into", str(tmp_path)]
    assert main(["retrain", HD, *arguments]) == 0
    assert os.environ["XLA_FLAGS"] == archived
    assert "The same numbers, to the last bit." in capsys.readouterr().out
    assert main(["retrain", "hd2-none", *arguments]) == 2


def test_another_training_is_told_from_the_archived_one(made):
    like = read_json(made[0] / METRICS)

    def results(*values):
        seeds = [
            {"seed": n, "status": "finished", "l2_uvp_forward_percent": value}
            for n, value in enumerate(values)
        ]
        return like | {"seeds": seeds}

    old = results(1.0, 1.1, 1.2, 1.05)
    assert "to the last bit" in retrain.compare(old, old)[0]
    text, agree = retrain.compare(old, results(1.01, 1.1, 1.15, 1.05))
    assert agree
    assert "agree (Welch's test" in text
    text, agree = retrain.compare(old, results(2.0, 2.1, 2.2, 2.05))
    assert not agree
    assert "DIFFER" in text
    diverged = results(1.0, 1.1, 1.2, 1.05)
    diverged["seeds"][0] |= {"status": "diverged", "l2_uvp_forward_percent": None}
    assert retrain.compare(old, diverged)[1] is False


def test_an_archive_is_not_unpacked_over_files(path, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    assert main(["unpack", str(path), "--into", str(tmp_path)]) == 2
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_verify_of_no_file_and_of_a_problem_have_codes_of_their_own(path, tmp_path):
    assert main(["verify", str(tmp_path / "none.zip")]) == 2
    bad = rewritten(path, tmp_path / "t.zip", add("extra.txt"))
    with pytest.raises(SystemExit) as stopped:
        main(["verify", str(bad), "--sample", "0"])
    assert stopped.value.code == 1


def test_a_written_zip_holds_what_was_given(tmp_path):
    container.write(
        tmp_path / "a.zip", {"b": Member(lambda: b"2", True), "a": Member(lambda: b"1")}
    )
    with Archive(tmp_path / "a.zip") as opened:
        assert opened.names == ["a", "b"]
        assert opened.read("b") == b"2"
        opened.unpack(tmp_path / "out")
    assert (tmp_path / "out" / "b").stat().st_mode & 0o777 == 0o755


# ---------------------------------------------------------------- traps in an archive


@pytest.fixture(scope="module")
def markers(tmp_path_factory):
    """Where each trap that runs leaves a file of its name."""
    return tmp_path_factory.mktemp("markers")


@pytest.fixture(scope="module")
def trapped(path, markers, tmp_path_factory):
    """The archive with a trap wherever something is found by its name; unpacked beside."""
    folder = tmp_path_factory.mktemp("trapped")

    def edit(found):
        small_archive.planted(found, markers)

    changed = rewritten(path, folder / "t.zip", edit, rehash=True)
    assert main(["unpack", str(changed), "--into", str(folder / "unpacked")]) == 0
    return changed


def started(cwd, *words):
    """Run this checkout's code from a folder, in an environment that looks for things there."""
    environment = os.environ | {
        "PYTHONPATH": str(small_archive.ROOT / "src"),
        "PATH": f".:{cwd}:{os.environ['PATH']}",
        "JAX_COMPILATION_CACHE_DIR": ".",
        "MPLCONFIGDIR": ".",
    }
    return subprocess.run(
        [sys.executable, *words],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_traps_are_such(trapped, markers):
    """A Python that is started there looks there first."""
    run = started(trapped.parent / "unpacked", "-c", "import json")
    assert run.returncode == 0, run.stderr
    assert [path.name for path in markers.iterdir()] == ["json"]
    (markers / "json").unlink()


def test_verify_runs_nothing_of_the_archive(trapped, markers):
    words = ("-m", "w2dual", "verify", "../t.zip", "--sample", "0")
    run = started(trapped.parent / "unpacked", *words)
    assert "the code that verifies is not the archive's" in run.stdout
    assert "**PASSED**" in run.stdout, run.stdout + run.stderr
    assert list(markers.iterdir()) == []


CALL = "import sys; from w2dual.__main__ import main; sys.exit(main(sys.argv[1:]))"


@pytest.mark.parametrize("start", [("-m", "w2dual"), ("-c", CALL)], ids=["command", "notebook"])
def test_rebuild_runs_nothing_of_the_archive(trapped, markers, tmp_path, start):
    """From within it; and by a Python that looks into whichever folder it has changed to."""
    root = trapped.parent / "unpacked"
    cwd = root if start[0] == "-m" else tmp_path
    run = started(cwd, *start, "rebuild", "--root", str(root))
    assert run.returncode == 0, run.stderr
    assert "hd_mlp.tex: the same bytes" in run.stderr
    assert list(markers.iterdir()) == []


@pytest.mark.parametrize("job", ["doctor", "simulate", "conjugation-study", "line-search"])
def test_a_step_of_another_job_is_refused_and_no_script_run(trapped, markers, tmp_path, job):
    def more(steps):
        steps.append({"rule": "a", "arguments": [job], "inputs": [], "outputs": []})

    found = problems(rewritten(trapped, tmp_path / "t.zip", step(more), rehash=True))
    assert found == f"{layout.RENDER}: step a: '{job}' is not a job that renders"
    assert list(markers.iterdir()) == []


def test_a_repository_in_an_archive_is_named(tmp_path):
    """Its hooks and settings would be run by git, which asks for the commit."""
    found = problems(zipped(tmp_path / "t.zip", (entry(".git/config"), b"[core]")))
    assert "'.git/config': is part of a git repository" in found


# ---------------------------------------------------------------- retraining, with suspicion


@pytest.mark.parametrize(
    "flags",
    [
        "--xla_dump_to=/tmp/x",
        "--xla_gpu_cuda_data_dir=evil",
        "--xla_backend_optimization_level=0 --xla_dump_to=1",
        "evil.txt",
        "--xla_cpu_max_isa=../evil",
        7,
    ],
)
def test_flags_of_an_archive_that_name_files_are_not_set(unpacked, tmp_path, monkeypatch, flags):
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=false")
    root = tmp_path / "root"
    shutil.copytree(unpacked, root)
    record = read_json(root / METRICS)
    record["provenance"]["xla_flags"] = flags
    write_json(root / METRICS, record)
    arguments = ["--root", str(root), "--into", str(tmp_path / "out")]
    assert main(["retrain", HD, *arguments]) == 2
    assert os.environ["XLA_FLAGS"] == "--xla_cpu_enable_fast_math=false"
    assert not (tmp_path / "out").exists()


def test_flags_that_a_reviewer_has_set_are_trusted(monkeypatch):
    known = "--xla_backend_optimization_level=0 --xla_cpu_max_isa=AVX2 --xla_gpu_ftz"
    assert retrain.checked_flags(known) == known
    monkeypatch.setenv("XLA_FLAGS", "--xla_dump_to=mine")
    assert retrain.checked_flags("--xla_dump_to=mine") == "--xla_dump_to=mine"


def test_a_training_that_came_with_the_archive_is_not_gone_on_from(unpacked, tmp_path, capsys):
    planted = tmp_path / HD / "checkpoints" / "step-000000020.safetensors"
    planted.parent.mkdir(parents=True)
    planted.write_bytes(b"forged")
    assert main(["retrain", HD, "--root", str(unpacked), "--into", str(tmp_path)]) == 2
    assert f"{tmp_path / HD}: is not empty" in capsys.readouterr().err


# ---------------------------------------------------------------- folders, disks


def test_a_folder_in_the_place_of_an_archive_is_named(path, unpacked, tmp_path, capsys):
    (tmp_path / "bundle.zip").write_bytes(b"")
    for folder, said in (
        (unpacked, f"`w2dual rebuild --root {unpacked}`"),
        (tmp_path, f"such as {tmp_path / 'bundle.zip'}"),
        (unpacked / "src", "expected the archive itself, a .zip"),
    ):
        assert main(["verify", str(folder)]) == 2
        error = capsys.readouterr().err
        assert f"{folder}: is a folder, expected " in error
        assert said in error
    assert main(["unpack", str(tmp_path), "--into", str(tmp_path / "out")]) == 2
    assert f"{tmp_path}: is a folder, expected a file" in capsys.readouterr().err
    assert main(["rebuild", "--root", str(path)]) == 2
    assert f"{path}: is a file, expected a folder" in capsys.readouterr().err


def test_an_archive_is_unpacked_as_a_whole_or_not_at_all(path, tmp_path, monkeypatch, capsys):
    (tmp_path / "there").mkdir()
    read = Archive.read

    def full(self, name):
        if name == TABLE:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return read(self, name)

    monkeypatch.setattr(Archive, "read", full)
    for folder in (tmp_path / "new" / "out", tmp_path / "there"):
        assert main(["unpack", str(path), "--into", str(folder)]) == 2
        error = capsys.readouterr().err
        assert f"{folder}/" in error
        assert "cannot be written: No space left on device; free space there" in error
    assert not (tmp_path / "new" / "out").exists()
    assert list((tmp_path / "there").iterdir()) == []


def test_outputs_on_another_disk_give_the_same_archive(made, tmp_path):
    """Reached by a link, and in a folder of their own: members are named by the config."""
    root, record, path = made
    away = tmp_path / "disk" / "deep" / "er"
    shutil.copytree(root / RUN, away)
    (tmp_path / "link").symlink_to(away)
    for outputs in (away, tmp_path / "link"):
        bundle.make(small_archive.plan_of(record), root, outputs, tmp_path / "out.zip", call)
        assert (tmp_path / "out.zip").read_bytes() == path.read_bytes()
    history = away / "results" / "train" / HD / "history.csv"
    history.write_text(history.read_text() + f"# {away}/secret\n")
    with pytest.raises(InputError, match=r"history\.csv: names the folder"):
        bundle.make(small_archive.plan_of(record), root, away, tmp_path / "out.zip", call)


def test_cells_that_were_trained_under_other_words_for_the_preset_pass(path, tmp_path):
    """Words for a preset make its tables again, and train nothing."""
    label = json.dumps(small_archive.PRESET["label"])[1:-1].encode()

    def reworded(found):
        for name in found:
            if name.startswith(f"{RUN}/results/") and name.endswith((".json", ".csv")):
                found[name] = found[name].replace(label, b"other words")
        assert b"other words" in found[METRICS]

    assert problems(rewritten(path, tmp_path / "t.zip", reworded, rehash=True)) == ""


def test_an_archive_that_would_not_pass_is_not_written(made, tmp_path):
    root, record, _ = made
    out = tmp_path / "out.zip"
    out.write_text("old")
    outside = json.loads(json.dumps(record))
    (claims,) = (one for one in outside["steps"] if one["rule"] == "claims")
    claims["command"] = claims["command"].replace("tables/claims.csv", "../../../claims.csv")
    claims["outputs"] = [name.replace("tables/claims.csv", "../../../claims.csv")
                         for name in claims["outputs"]]  # fmt: skip
    forged = json.loads(json.dumps(record))
    forged["config"]["preset"]["label"] = "another"
    for plan, said in ((outside, "leads out of the archive"), (forged, "another preset")):
        with pytest.raises(InputError, match=f"(?s)out.zip: is not written.*{said}"):
            bundle.make(small_archive.plan_of(plan), root, root / RUN, out, call)
        assert out.read_text() == "old"
        assert [p.name for p in tmp_path.iterdir()] == ["out.zip"]
