"""Find the job of a subcommand by its name, read its options, run it."""

from __future__ import annotations

import argparse
import importlib
import logging
import sys
from collections.abc import Sequence
from types import ModuleType

from w2dual import __version__, environment
from w2dual.subcommands import JOBS

log = logging.getLogger(__name__)


def module_of(job: str) -> ModuleType:
    """Import the module of a job; its `add_arguments` declares the options, `main` runs it."""
    return importlib.import_module(f"w2dual.jobs.{job.replace('-', '_')}")


def parser(job: str | None, description: str = "") -> argparse.ArgumentParser:
    """Build the parser; only the module of the job asked for is imported."""
    top = argparse.ArgumentParser(prog="w2dual", description=description)
    top.add_argument("--version", action="version", version=f"w2dual {__version__}")
    jobs = top.add_subparsers(dest="job", required=True, metavar="JOB")
    for name, known in JOBS.items():
        sub = jobs.add_parser(
            name, help=known.summary, description=known.summary, allow_abbrev=False
        )
        if name == job:
            module_of(name).add_arguments(sub)
    return top


def run(args: argparse.Namespace) -> None:
    """Run the job that was parsed, under settings that the shell does not move."""
    module = module_of(args.job)
    environment.settle()
    if "jax" in sys.modules and (left := environment.record()["set"]):
        log.info("left as the environment has it: %s", left)
    module.main(args)


def call(arguments: Sequence[str]) -> None:
    """Run a command of `python -m w2dual`, given by its words, in this process.

    Raises:
        InputError: the job cannot use its input.
        SystemExit: the words are not those of a job, or it ends with a code of its own.
    """
    run(parser(arguments[0]).parse_args(list(arguments)))
