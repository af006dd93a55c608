"""The table of jobs, as it is read from their modules."""

import argparse
from pathlib import Path

import pytest

from w2dual import closure, subcommands
from w2dual.jobs import options
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


CHECKED_LATER = {
    ("estimate", "--headroom"),
    ("status", "--watch"),
    ("train", "--checkpoint-every-s"),
    ("train", "--checkpoint-keep"),
}
"""Options whose numbers are refused where they are used, each with a test there."""


def test_an_option_that_takes_a_number_refuses_what_makes_no_sense():
    """None counts or takes time below 0, and none is without end."""
    bare = set()
    for name in JOBS:
        parser = argparse.ArgumentParser()
        module_of(name).add_arguments(parser)
        numbers = (action for action in parser._actions if action.type in (int, float))
        bare |= {(name, action.option_strings[0]) for action in numbers}
    assert bare == CHECKED_LATER


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("trivial --samples 0", "argument --samples: '0' is not a whole number above 0"),
        ("trivial --samples -5", "argument --samples: '-5' is not a whole number above 0"),
        ("verify --sample -5", "argument --sample: '-5' is not a whole number from 0"),
        ("train --threads 0", "argument --threads: '0' is not a whole number above 0"),
        ("simulate --start-s -3000", "argument --start-s: '-3000' is not a finite number from 0"),
        ("simulate --start-s nan", "argument --start-s: 'nan' is not a finite number from 0"),
        ("simulate --submit-s inf", "argument --submit-s: 'inf' is not a finite number from 0"),
    ],
)
def test_numbers_out_of_range_are_named(words: str, said: str, capsys: pytest.CaptureFixture[str]):
    job, *given = words.split()
    parser = argparse.ArgumentParser()
    module_of(job).add_arguments(parser)
    with pytest.raises(SystemExit) as caught:
        parser.parse_args(given)
    assert caught.value.code == 2
    assert said in capsys.readouterr().err


def test_numbers_from_0_are_taken():
    assert (options.from_zero("0"), options.from_zero("2.5")) == (0.0, 2.5)
    assert (options.whole_from_zero("0"), options.whole_from_zero("12")) == (0, 12)


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
