"""The table of jobs, as it is read from their modules."""

from pathlib import Path

from w2dual import closure, subcommands
from w2dual.jobs.dispatch import module_of
from w2dual.subcommands import JOBS, Job


def test_every_module_with_options_is_a_job_of_its_name():
    """Else a new job's docstring would be amiss, and nobody could run it."""
    modules = closure.modules_with("jobs", "add_arguments")
    assert sorted(name.replace("-", "_") for name in JOBS) == modules


def test_what_a_job_says_is_what_its_module_has():
    for name, job in JOBS.items():
        module = module_of(name)
        assert job.writes == getattr(module, "WRITES", ()), name
        assert job.computes is getattr(module, "COMPUTES", False), name
        assert job.summary, name


def test_jobs_that_render_come_last(tmp_path: Path):
    texts = {
        "b": '"""The job `b`: draw b.\n\nMore.\n"""\n\nWRITES = ("--pdf",)\nCOMPUTES = True\n',
        "c": '"""The job `c`: judge, weigh, ..."""\n\nif True:\n    WRITES = ("--tex",)\n',
        "a": '"""The job `a`: render a."""\nimport nowhere\n\nWRITES = ("--tex", "--csv")\n',
        "options": '"""Options that jobs share: `The job `x`: y."""\n',
    }
    for name, text in texts.items():
        (tmp_path / f"{name}.py").write_text(text)
    found = subcommands.found(tmp_path)
    assert list(found) == ["c", "a", "b"]
    assert found["c"] == Job("judge, weigh, ...")
    assert found["a"] == Job("render a", ("--tex", "--csv"))
    assert found["b"] == Job("draw b", ("--pdf",), computes=True)
    assert (found["a"].exact, found["b"].exact, found["c"].renders) == (True, False, False)
