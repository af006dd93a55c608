"""Every target of the Makefile, in a folder and with values whose names a shell would take apart.

The programs that targets call are replaced by ones that write down the words they were given.
"""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HARD = """it's a [w2] "dual" $HOME;x (a&b) `c` #d %e *"""
PROGRAM = """\
#!/bin/bash
{ printf '%s\\037' "${0##*/}" "$@"; printf '\\036'; } >>"$RECORD"
if [ "${1:-} ${2:-}" = "-m venv" ]; then mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; fi
case " ${FAILS:-} " in *" ${0##*/} "*) echo "${0##*/} fails" >&2; exit 3 ;; esac
"""
TOOLS = ("python", "snakemake", "ruff", "snakefmt", "lint-imports", "pyright", "uv")
# What each target hands on: words that must be among those of one call.
EXPECTED = {
    "smoke": ["snakemake", "--configfile", "presets/smoke.yaml", "all"],
    "laptop": ["snakemake", "--configfile", "presets/laptop.yaml", "all"],
    "paper-dry-run": ["snakemake", "--dry-run"],
    "paper-budget": ["python", "-m", "benchmarks.paper_budget", "render"],
    "html": ["snakemake", "presets/{PRESET}.yaml", "{CURDIR}/rules/report.css", "report.html"],
    "bundle": ["snakemake", "presets/{PRESET}.yaml", "bundle"],
    "bundle-crate": ["python", "scripts/validate_crate.py", "{BUNDLE}"],
    "verify": ["python", "verify", "{BUNDLE}"],
    "unpack": ["python", "unpack", "{BUNDLE}", "--into", "{INTO}"],
    "rebuild": ["python", "rebuild"],
    "retrain": ["python", "retrain", "{CELL}"],
    "check": ["python", "pytest", "--fast", "tests/unit"],
    "test": ["python", "pytest", "-n", "2"],
    "test-slurm": ["python", "tests.slurm.run"],
    "test-slurm-smoke": ["python", "tests.slurm.smoke"],
    "test-long": ["python", "pytest", "--long"],
    "kill-test": ["python", "tests.slow.kill"],
    "lint": ["snakemake", "--lint"],
    "format": ["snakefmt", "Snakefile", "rules"],
    "bench": ["python", "benchmarks.run", "--out", "{BENCH_RECORD}"],
    "bench-render": ["python", "{BENCH_RECORD}", "--document", "{BENCH_DOCUMENT}"],
    "gpu-count": ["python", "benchmarks.gpu_count", "write"],
    "gpu-check": ["python", "benchmarks.gpu_count", "check"],
    "gpu-tables": ["python", "benchmarks.gpu_tables"],
    "env": ["python", "pip", "--editable"],
    "crate-env": ["python", "pip", "envs/crate.txt"],
    "bench-env": ["python", "pip", "envs/bench.txt"],
    "gpu-count-env": ["python", "pip", "envs/gpu_count.txt"],
    "lock": ["uv", "compile", "cpu.in"],
}
QUIET = {"help": "make smoke", "clean": ""}


def targets() -> list[str]:
    text = (ROOT / "Makefile").read_text()
    return sorted(set(re.findall(r"^([a-z][a-z-]*):(?!=)", text, re.MULTILINE)))


@dataclass(frozen=True)
class Copy:
    """A folder with the Makefile, what its recipes look at, and programs that write down words."""

    folder: Path
    values: dict[str, str]

    def make(
        self, *words: str, fails: str = ""
    ) -> tuple[subprocess.CompletedProcess[str], list[list[str]]]:
        record = self.folder / "record"
        record.unlink(missing_ok=True)
        kept = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
        done = subprocess.run(
            ["make", *words, *(f"{key}={value}" for key, value in self.values.items())],
            cwd=self.folder,
            env=kept | {"RECORD": str(record), "FAILS": fails},
            capture_output=True,
            text=True,
            check=False,
        )
        text = record.read_text() if record.exists() else ""
        calls = [call.split("\x1f")[:-1] for call in text.split("\x1e")[:-1]]
        return done, calls


def write(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(PROGRAM)
    path.chmod(0o755)
    return path


def copy(folder: Path, ready: bool) -> Copy:
    folder.mkdir(parents=True)
    shutil.copy(ROOT / "Makefile", folder)
    for lock in ("cpu", "tools", "data", "crate", "bench", "gpu_count"):
        name = f"envs/{lock}.txt"
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    (folder / "pyproject.toml").touch()
    for name in ("install_tex.sh", "install_slurm.sh"):
        write(folder / "scripts" / name)
    values = {
        "VENV": f"{folder}/envs of {HARD}/main",
        "CRATE_VENV": f"crate {HARD}",
        "BENCH_VENV": f"bench {HARD}",
        "GPU_COUNT_VENV": f"gpu count {HARD}",
        "PYTHON": str(write(folder.parent / "programs" / f"python {HARD}")),
        "BUNDLE": f"my bundle {HARD}.zip",
        "INTO": f"{folder.parent}/into {HARD}",
        "CELL": f"a cell {HARD}",
        "PRESET": f"mine {HARD}",
        "BENCH_RECORD": f"record {HARD}.json",
        "BENCH_DOCUMENT": f"document {HARD}.md",
        "JAX": "cpu",
        "CORES": "2",
        "TEST_WORKERS": "2",
    }
    if ready:
        for name in ("VENV", "CRATE_VENV", "BENCH_VENV", "GPU_COUNT_VENV"):
            venv = folder / values[name]
            for tool in TOOLS:
                write(venv / "bin" / tool)
            (venv / (".ready-cpu" if name == "VENV" else ".ready")).touch()
    return Copy(folder, values)


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    return copy(tmp_path_factory.mktemp("make") / HARD, ready=True)


def test_each_target_is_here():
    assert set(targets()) == set(EXPECTED) | set(QUIET)


@pytest.mark.parametrize("target", [name for name in EXPECTED if not name.endswith("env")])
def test_words_arrive_whole(ready: Copy, target: str):
    done, calls = ready.make(target)
    assert done.returncode == 0, done.stderr
    # `given` of another name would be an empty word; CURDIR is make's own.
    known = ready.values | {"CURDIR": str(ready.folder)}
    wanted = [word.format(**known) for word in EXPECTED[target]]
    tool, *words = wanted
    names = {tool, f"{tool} {HARD}"}
    assert any(call[0] in names and set(words) <= set(call) for call in calls), calls
    # No word is a piece of one: each that has a piece of a value is a value, or built on one.
    whole = [*known.values(), *(w for w in wanted if HARD in w)]
    for word in (word for call in calls for word in call):
        if any(
            piece in word for piece in ("it's", "[w2]", '"dual"', "$HOME", "(a&b)", "`c`", "%e")
        ):
            assert any(value in word for value in whole), word


@pytest.mark.parametrize(
    ("target", "variable"),
    [
        ("env", "VENV"),
        ("crate-env", "CRATE_VENV"),
        ("bench-env", "BENCH_VENV"),
        ("gpu-count-env", "GPU_COUNT_VENV"),
    ],
)
def test_an_environment_is_made_once_where_it_is_asked_for(
    tmp_path: Path, target: str, variable: str
):
    fresh = copy(tmp_path / HARD, ready=False)
    done, calls = fresh.make(target)
    assert done.returncode == 0, done.stderr
    python = Path(fresh.values["PYTHON"]).name
    assert [python, "-m", "venv", fresh.values[variable]] in calls
    assert any(set(EXPECTED[target][1:]) <= set(call) for call in calls)
    assert (fresh.folder / fresh.values[variable] / "bin" / "python").exists()
    assert fresh.make(target)[1] == []
    lock = {"env": "cpu"}.get(target, target.removesuffix("-env").replace("-", "_"))
    newer = (fresh.folder / fresh.values[variable]).stat().st_mtime + 60
    os.utime(fresh.folder / "envs" / f"{lock}.txt", (newer, newer))
    assert any("pip" in call for call in fresh.make(target)[1])


@pytest.mark.parametrize(("target", "said"), QUIET.items())
def test_targets_that_call_no_program_of_ours(ready: Copy, target: str, said: str):
    done, calls = ready.make(target)
    assert (done.returncode, calls) == (0, [])
    assert said in done.stdout


@pytest.mark.parametrize(
    ("target", "variable"),
    [("verify", "BUNDLE"), ("unpack", "INTO"), ("retrain", "CELL"), ("bundle-crate", "BUNDLE")],
)
def test_what_is_not_given_is_asked_for(ready: Copy, target: str, variable: str):
    values = {key: value for key, value in ready.values.items() if key != variable}
    done, _ = Copy(ready.folder, values).make(target)
    assert done.returncode != 0
    assert f"set {variable}=" in done.stderr


def test_the_paper_is_the_preset_without_a_file(ready: Copy):
    _, calls = Copy(ready.folder, ready.values | {"PRESET": "paper"}).make("html")
    assert not [word for call in calls for word in call if word.startswith("presets/")]


@pytest.mark.parametrize("fails", ["", "pyright", "python", "ruff python", "snakemake"])
def test_linters_and_tests_both_run_and_both_count(ready: Copy, fails: str):
    done, calls = ready.make("test", fails=fails)
    assert (done.returncode != 0) == bool(fails), done.stderr
    # After a linter that fails, those behind it do not run.
    ran = {call[0] for call in calls}
    assert {"python", "ruff"} <= ran
    if fails in ("", "python", "snakemake"):
        assert {"pyright", "snakemake"} <= ran
    said = done.stdout + done.stderr
    for program in fails.split():
        assert f"{program} fails" in said
    linters = set(fails.split()) - {"python"}
    assert ("make lint: FAILED" in said) == bool(linters)
    assert ("--lint" in done.stdout) == (not linters or fails == "snakemake")


def test_an_environment_that_was_left_half_way_to_another_is_ready_for_neither(tmp_path: Path):
    old = copy(tmp_path / HARD, ready=True)
    (old.folder / "envs" / "cuda12.txt").touch()
    assert old.make("env")[1] == []
    done, _ = Copy(old.folder, old.values | {"JAX": "cuda12"}).make("env", fails="python")
    assert done.returncode != 0
    assert any("pip" in call for call in old.make("env")[1])


def test_an_unknown_environment_is_named(ready: Copy):
    done, _ = Copy(ready.folder, ready.values | {"JAX": "cuda 11"}).make("env")
    assert done.returncode != 0
    assert "envs/cuda 11.txt" in done.stderr


def test_the_head_lists_what_can_be_set():
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    head = text.partition("\n\n")[0]
    listed = set(re.findall(r"\b[A-Z][A-Z_0-9]+\b", head))
    assert set(re.findall(r"^(\w+) \?=", text, flags=re.M)) - listed == set()
