"""What Snakemake reads before our code: config files, `--config` and profiles, by their texts."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from w2dual.cluster.doctor import profile
from w2dual.config import files, reader
from w2dual.records import InputError

ROOT = Path(__file__).parents[3]
PAPER = ROOT / "config.yaml"
DAY = "site_runtime_min: 24:00:00\n"

Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write


def workflow(start: Path, *configfiles: Path, **changes: object) -> SimpleNamespace:
    """What the check takes from Snakemake's workflow."""
    known = {
        "configfiles": [PAPER, *configfiles],
        "config_settings": SimpleNamespace(config_args=changes.pop("config_args", None)),
        "is_main_process": True,
        "workdir_init": str(start),
        "overwrite_workdir": None,
        "basedir": str(ROOT),
    }
    return SimpleNamespace(**known | changes)


def test_a_config_file_of_snakemake_is_judged_by_its_text(tmp_path: Path, write: Write):
    path = write("mine.yaml", "preset: {name: mine}\n" + DAY)
    message = r"mine\.yaml, line 2: `site_runtime_min`: 24:00:00 would be read as 86400"
    with pytest.raises(InputError, match=message):
        files.check(workflow(tmp_path, path), [], {})
    with pytest.raises(InputError, match=message):
        reader.load([PAPER, path])


def test_the_command_line_is_judged_by_its_text(tmp_path: Path):
    with pytest.raises(InputError, match="--config site_runtime_min=1_000: would be read as 1000"):
        files.check(workflow(tmp_path, config_args=["site_runtime_min=1_000"]), [], {})


@pytest.mark.parametrize(
    ("argv", "environ"),
    [
        (["--profile", "site"], {}),
        (["--cores", "2", "--profile=site", "--", "all"], {}),
        (["--profile", "site/config.v9+.yaml"], {}),
        ([], {"SNAKEMAKE_PROFILE": "site"}),
        (["--workflow-profile", "site"], {}),
        (["--profile", "other", "--profile", "site"], {}),
    ],
)
def test_the_sites_file_is_judged_by_its_text(
    tmp_path: Path, write: Write, argv: list[str], environ: dict[str, str]
):
    write("site/config.yaml", "cores: 1\n")  # which Snakemake does not take beside the other
    write("other/config.yaml", "keep-going: yes\n")
    write("site/config.v9+.yaml", "keep-going: yes\nconfig:\n  " + DAY)
    message = r"config\.v9\+\.yaml, line 3: `config.site_runtime_min`: 24:00:00 would be read"
    with pytest.raises(InputError, match=message):
        files.check(workflow(tmp_path), argv, environ)


def test_the_workflows_own_profile_is_found_without_being_named(tmp_path: Path, write: Write):
    path = write("profiles/default/config.yaml", "default-resources: {runtime: 1:00:00}\n")
    with pytest.raises(InputError, match=r"`default-resources.runtime`: 1:00:00 would be read"):
        files.check(workflow(tmp_path), [], {})
    found = files.profiles(["--workflow-profile", "none"], {}, tmp_path, ROOT)
    assert found == []
    assert files.profiles([], {}, tmp_path / "elsewhere", tmp_path) == [path]


def test_a_named_profile_goes_before_that_of_the_environment(tmp_path: Path, write: Write):
    bad, good = write("bad/config.yaml", "a: 010\n"), write("good/config.yaml", "cores: 1\n")
    environ = {"SNAKEMAKE_PROFILE": "bad"}
    assert files.profiles([], environ, tmp_path, ROOT) == [bad]
    assert files.profiles(["--profile", "good"], environ, tmp_path, ROOT) == [good]
    assert files.profiles(["--profile", "none"], environ, tmp_path, ROOT) == []


def test_the_snakemake_of_a_job_reads_no_profile(tmp_path: Path, write: Write):
    write("bad/config.yaml", "a: 010\n")
    job = workflow(tmp_path, is_main_process=False)
    files.check(job, [], {"SNAKEMAKE_PROFILE": "bad"})


def test_the_folder_that_directory_leaves(tmp_path: Path):
    assert files.started_in(workflow(tmp_path), {"PWD": "/other"}) == tmp_path
    moved = workflow(tmp_path, overwrite_workdir=str(tmp_path))
    assert files.started_in(moved, {"PWD": "/started"}) == Path("/started")


def test_the_doctor_does_not_write_a_changed_number_back():
    with pytest.raises(InputError, match=r"line 2: `config.site_runtime_min`: 24:00:00"):
        profile.compose("executor: slurm\n", "config:\n  " + DAY, [], "")


def test_a_key_as_number_and_as_text_in_two_files(write: Write):
    path = write("mine.yaml", 'resources: {runtime_min: {"2": 30}}\n')
    with pytest.raises(InputError, match='2 is a key as a number and as "2" in quotes'):
        reader.load([PAPER, path])


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("default-resources:\n  runtime: 1-00\n", "default-resources.runtime"),
        ("default-resources:\n  - mem_mb=4000\n  - runtime=1-12\n", "default-resources"),
        ("set-resources:\n  train:\n    runtime: '2-00'\n", "set-resources.train.runtime"),
        ("set-resources:\n  - train:runtime=2-0\n", "set-resources"),
    ],
)
def test_days_as_slurm_writes_them_are_no_difference(write: Write, text: str, key: str):
    path = write("slurm/config.yaml", text)
    with pytest.raises(InputError) as caught:
        files.check(
            workflow(path.parent), ["--profile", str(path.parent)], {"PWD": str(path.parent)}
        )
    assert f"{path}: `{key}`: " in str(caught.value)
    assert "write minutes, or such as 1d or 36h" in str(caught.value)


@pytest.mark.parametrize("runtime", ["90", "1d", "10*60", "36h"])
def test_times_that_snakemake_takes_pass(write: Write, runtime: str):
    path = write(
        "slurm/config.yaml", f"default-resources:\n  runtime: {runtime}\n  nodelist: n1-2\n"
    )
    files.check(workflow(path.parent), ["--profile", str(path.parent)], {})
