"""What a user's shell says moves no number and ends no job; what it may move is recorded."""

import argparse
import enum
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import jax
import pytest
from tests.unit.test_main import CELL, CONFIG, SMOKE

from w2dual import backend, environment, provenance
from w2dual.jobs.dispatch import module_of, run
from w2dual.report import latex
from w2dual.subcommands import JOBS

ROOT = Path(__file__).parents[2]
HOSTILE = {
    "JAX_THREEFRY_PARTITIONABLE": "0",
    "JAX_RANDOM_SEED_OFFSET": "7",
    "JAX_DEFAULT_PRNG_IMPL": "rbg",
    "JAX_ENABLE_X64": "1",
    "JAX_DEFAULT_MATMUL_PRECISION": "bfloat16",
    "JAX_NUMPY_DTYPE_PROMOTION": "neither",  # of no meaning: `import jax` fails on it
    "JAX_DISABLE_JIT": "true",
    "JAX_DEBUG_NANS": "yes",
    "JAX_OF_A_LATER_VERSION": "1",
    "FLAX_FIX_RNG_SEPARATOR": "1",
    "NVIDIA_TF32_OVERRIDE": "1",
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "MATPLOTLIBRC": "mine",
    "PYTHONWARNINGS": "error",
    "SOURCE_DATE_EPOCH": "today",
    "TZ": "Pacific/Kiritimati",
    "PYTHONIOENCODING": "ascii",
}
RC = "savefig.bbox: tight\nlines.linewidth: 9\npdf.compression: 0\nbackend: tkagg\n"
PROBE = """\
import enum, hashlib, json, pathlib, sys, warnings
from w2dual import __main__, environment
from w2dual.jobs import cells
def probe(args):
    import jax, jax.numpy as jnp, matplotlib
    from flax import linen as nn
    from matplotlib.figure import Figure
    from w2dual import rng
    from w2dual.plots import style
    key = rng.stream(3, "probe")
    warnings.warn("of a library", PendingDeprecationWarning)
    draws = jax.random.normal(key, (5,))
    params = nn.Dense(3).init(key, jnp.ones((1, 4)))["params"]["kernel"]
    with style.style():
        figure = Figure(figsize=(1, 1))
        figure.subplots().plot([0, 1, 4])
        style.save(figure, pathlib.Path("f.pdf"), pathlib.Path("f.png"))
    sha = lambda content: hashlib.sha256(content).hexdigest()
    values = {
        name: value.name.lower() if isinstance(value, enum.Enum) else str(value)
        for name, value in jax.config.values.items()
    }
    print("\\u00b1", file=sys.stdout)
    pathlib.Path("out.json").write_text(json.dumps({
        "draws": draws.tolist(), "params": params.tolist(), "values": values,
        "files": [sha(pathlib.Path(name).read_bytes()) for name in ("f.pdf", "f.png")],
        "taken": environment.taken()}))
cells.main = probe
sys.exit(__main__.main(["cells"]))
"""


def probe(folder: Path, **variables: str) -> tuple[dict[str, Any], str]:
    dropped = {*environment.OTHERS, "SOURCE_DATE_EPOCH", "XLA_FLAGS"}
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in dropped and not name.startswith(("JAX_", "FLAX_", "PYTHON"))
    }
    kept |= {"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT / "src")}
    run = subprocess.run(
        [sys.executable, "-c", PROBE],
        cwd=folder,
        env=kept | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return json.loads((folder / "out.json").read_text()), run.stderr


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str]:
    return probe(tmp_path_factory.mktemp("plain"))


@pytest.fixture
def jax_as_it_was() -> Iterator[None]:
    yield
    environment.settle()
    environment._taken.clear()


def value(name: str) -> Any:
    found = jax.config.values[name]
    return found.name.lower() if isinstance(found, enum.Enum) else found


# ---------------------------------------------------------------- a job, whatever the shell says


def test_a_job_draws_and_writes_the_same_in_a_hostile_shell(plain, tmp_path: Path):
    (tmp_path / "mine").write_text(RC)
    (tmp_path / "matplotlibrc").write_text(RC)
    found, said = probe(tmp_path, **HOSTILE)
    taken = found.pop("taken")
    unheard = {"SOURCE_DATE_EPOCH", "TZ", "PYTHONIOENCODING"}  # which nothing here depends on
    assert taken.keys() == HOSTILE.keys() - unheard
    for name, values in taken.items():
        assert values["given"] == HOSTILE[name]
        assert f"ignored {name}={HOSTILE[name]}, which could change results" in said
    assert taken["JAX_THREEFRY_PARTITIONABLE"] == {"given": "0", "used": True}
    assert taken["JAX_DEFAULT_MATMUL_PRECISION"]["used"] == "highest"
    assert taken["NVIDIA_TF32_OVERRIDE"]["used"] is None
    assert found == {key: item for key, item in plain[0].items() if key != "taken"}


def test_a_job_in_an_ordinary_shell_says_nothing(plain):
    assert plain[0]["taken"] == {}
    assert plain[1] == ""


def test_what_is_pinned_is_what_jax_starts_with(plain):
    """Else a job by hand and a notebook that only imports JAX would draw different numbers."""
    started = environment.DEFAULTS | {"jax_default_matmul_precision": "highest"}
    for name, pinned in started.items():
        assert plain[0]["values"][name] == str(pinned), name


@pytest.mark.parametrize("job", JOBS)
@pytest.mark.usefixtures("jax_as_it_was")
def test_no_job_can_forget_to_set_jax_up(job: str, monkeypatch: pytest.MonkeyPatch):
    seen = {}
    monkeypatch.setattr(
        f"{module_of(job).__name__}.main",
        lambda args: seen.update({name: value(name) for name in environment.DEFAULTS}),
    )
    wrong = {"jax_threefry_partitionable": False, "jax_enable_x64": True}
    wrong |= {"jax_default_matmul_precision": "bfloat16", "jax_debug_nans": True}
    for name, setting in wrong.items():
        jax.config.update(name, setting)
    run(argparse.Namespace(job=job))
    assert seen == environment.DEFAULTS | environment.OURS


# ---------------------------------------------------------------- all settings of JAX


def test_every_setting_of_jax_is_pinned_or_left_to_the_user_on_purpose():
    """A new version of JAX may bring others: each goes to `DEFAULTS` or `FREE`."""
    for name in jax.config.values:
        free = [pattern for pattern in environment.FREE if fnmatchcase(name, pattern)]
        assert (name in environment.DEFAULTS) != bool(free), name
    assert environment.DEFAULTS.keys() <= jax.config.values.keys()
    assert environment.OURS.keys() <= environment.DEFAULTS.keys()


CHOICES = {
    "jax_default_prng_impl": "rbg",
    "jax_legacy_prng_key": "error",
    "jax_explicit_x64_dtypes": "allow",
    "jax_numpy_dtype_promotion": "strict",
    "jax_numpy_rank_promotion": "warn",
    "jax_default_matmul_precision": "bfloat16",
    "jax_use_magma": "off",
    "jax_optimization_level": "O1",
    "jax_memory_fitting_level": "O1",
    "jax_cpu_collectives_implementation": "mpi",
    "jax_array_garbage_collection_guard": "log",
    "jax_default_device": jax.devices()[0],
    "jax_backend_target": "elsewhere",
    "jax_xla_backend": "proxy",
    "jax_mock_gpu_topology": "1x1x1",
}


@pytest.mark.parametrize("name", environment.DEFAULTS)
@pytest.mark.usefixtures("jax_as_it_was")
def test_a_setting_that_a_program_has_changed_is_put_right(name: str, caplog):
    default = environment.DEFAULTS[name]
    if isinstance(default, bool):
        other: Any = not default
    elif isinstance(default, int | float):
        other = default + 1
    elif name.startswith("jax_transfer_guard"):
        other = "log"
    else:
        other = CHOICES.get(name, "raise")
    jax.config.update(name, other)
    backend.configure()
    assert value(name) == (environment.DEFAULTS | environment.OURS)[name]
    assert f"ignored {name}=" in caplog.text


# ---------------------------------------------------------------- variable by variable


@pytest.mark.parametrize(
    ("name", "given", "left"),
    [
        ("JAX_THREEFRY_PARTITIONABLE", "0", None),
        ("JAX_THREEFRY_PARTITIONABLE", "True", "True"),  # as it is anyway
        ("JAX_RANDOM_SEED_OFFSET", "0", "0"),
        ("JAX_RANDOM_SEED_OFFSET", "1", None),
        ("JAX_DEFAULT_MATMUL_PRECISION", "default", "highest"),
        ("JAX_DEFAULT_MATMUL_PRECISION", "highest", "highest"),
        ("JAX_OF_A_LATER_VERSION", "1", None),
        ("EAGER_CONSTANT_FOLDING", "1", None),
        ("MOCK_NUM_GPU_PROCESSES", "2", None),
        ("jax_enable_x64", "1", "1"),  # JAX reads capitals alone
        ("JAX_PLATFORMS", "cpu", "cpu"),
        ("JAX_COMPILATION_CACHE_DIR", "/cache", "/cache"),
        ("JAX_LOG_COMPILES", "1", "1"),
        ("FLAX_RETURN_FROZENDICT", "1", None),
        ("EQX_ON_ERROR", "breakpoint", None),
        ("PANDAS_COPY_ON_WRITE", "warn", None),
        ("MPLBACKEND", "qtagg", "agg"),
        ("XLA_FLAGS", "--xla_cpu_enable_fast_math=true", "--xla_cpu_enable_fast_math=true"),
        ("OMP_NUM_THREADS", "3", "3"),
    ],
)
@pytest.mark.usefixtures("jax_as_it_was")
def test_variables(name: str, given: str, left: str | None, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(name, given)
    environment.settle()
    assert os.environ.get(name) == left
    assert (name in environment.taken()) == (left != given)
    before = environment.taken()
    environment.settle()
    assert environment.taken() == before


@pytest.mark.usefixtures("jax_as_it_was")
def test_warnings_are_not_made_errors(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        environment.settle()
        warnings.warn("of a library", DeprecationWarning, stacklevel=1)
    assert environment.taken()["PYTHONWARNINGS"] == {"given": "error", "used": None}


# ---------------------------------------------------------------- what is recorded


@pytest.mark.usefixtures("jax_as_it_was")
def test_the_record_names_what_was_overridden_and_what_was_not(monkeypatch: pytest.MonkeyPatch):
    moves = {"NPROC": "2", "TF_CUDNN_DETERMINISTIC": "1", "CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
    moves |= {"NPY_DISABLE_CPU_FEATURES": "AVX2", "LIBTPU_INIT_ARGS": "--x=1"}
    said = {"CUDA_VISIBLE_DEVICES": "1", "OMP_NUM_THREADS": "4"}
    said |= {"XLA_PYTHON_CLIENT_MEM_FRACTION": ".5"}
    for name, given in (moves | said | {"TF_CPP_MIN_LOG_LEVEL": "3", "EDITOR": "vi"}).items():
        monkeypatch.setenv(name, given)
    monkeypatch.setenv("JAX_ENABLE_X64", "1")
    environment.settle()
    record: Any = provenance.gather("", "")["environment"]
    assert record["overridden"] == {"JAX_ENABLE_X64": {"given": "1", "used": False}}
    assert moves.items() <= environment.moving().items()
    assert (moves | said).items() <= record["set"].items()
    assert not {"OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES"} & environment.moving().keys()
    assert not {"TF_CPP_MIN_LOG_LEVEL", "EDITOR"} & record["set"].keys()


def test_flags_in_a_file_are_recorded_by_what_it_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "flags").write_text("--xla_a=1\n--xla_b=2\n")
    for given, meant in (
        (str(tmp_path / "flags"), "--xla_a=1 --xla_b=2"),
        ("--xla_a=1", "--xla_a=1"),
        ("", ""),
    ):
        monkeypatch.setenv("XLA_FLAGS", given)
        assert environment.xla_flags() == meant
        assert provenance.gather("", "")["xla_flags"] == meant


@pytest.mark.usefixtures("jax_as_it_was")
def test_the_record_names_no_folder_of_the_machine(monkeypatch: pytest.MonkeyPatch):
    """Else `bundle` would refuse the metrics, once all training is paid for."""
    flags = "--xla_a=1 --xla_dump_to=/home/ada/dump --xla_b=x/y"
    monkeypatch.setenv("XLA_FLAGS", flags)
    monkeypatch.setenv("MATPLOTLIBRC", "/home/ada/mine")
    environment.settle()
    found: Any = provenance.gather("", "")
    assert found["xla_flags"] == "--xla_a=1 --xla_b=x/y"
    assert environment.xla_flags() == flags  # a checkpoint of this machine is compared with
    assert found["environment"]["set"]["XLA_FLAGS"] == flags.replace("/home/ada/dump", "<path>")
    assert found["environment"]["overridden"]["MATPLOTLIBRC"]["given"] == "<path>"
    assert "ada" not in json.dumps(found)


# ---------------------------------------------------------------- other programs


@pytest.mark.tex
def test_a_document_does_not_depend_on_the_tex_files_of_a_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "article.cls").write_text("\\errmessage{mine}")
    monkeypatch.setenv("TEXINPUTS", str(tmp_path))
    document = "\\documentclass{article}\\begin{document}x\\end{document}"
    latex.build_pdf(document, {}, tmp_path / "x.pdf", 0)
    assert (tmp_path / "x.pdf").read_bytes().startswith(b"%PDF")


def test_the_workflow_starts_python_as_if_the_shell_said_nothing_of_it(tmp_path: Path):
    """By the rules' own lines, in a Python that has been told much."""
    text = (ROOT / "rules" / "common.smk").read_text()
    begin = text.index("for name, value in PYTHON.items()")
    end = text.index("\n)\n", begin) + 3
    code = "import os, sys; from w2dual.environment import PYTHON; ROOT = sys.argv[1]\n"
    code += (
        text[begin:end]
        + "import subprocess; subprocess.run([sys.executable, '-m', 'w2dual', 'cells',"
    )
    code += f" {CELL!r}, '--configfile', {CONFIG!r}, {SMOKE!r}], check=True)"
    (tmp_path / "json.py").write_text("raise SystemExit('mine')")
    told = {"PYTHONINSPECT": "1", "PYTHONOPTIMIZE": "2", "PYTHONWARNINGS": "error"}
    run = subprocess.run(
        [sys.executable, "-P", "-c", code, str(ROOT)],
        cwd=tmp_path,
        env=os.environ | told | {"PYTHONPATH": str(ROOT / "src"), "PYTHONHASHSEED": "5"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert json.loads(run.stdout)["name"] == CELL, run.stderr
    assert "ignored PYTHON" not in run.stderr
