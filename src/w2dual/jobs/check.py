"""The job `check`: check a module of your own: a solver, potential, loss, method or pair."""

from __future__ import annotations

import argparse
import json
import sys

from w2dual.backend import configure
from w2dual.config.reader import load
from w2dual.conformance import SECTIONS, Subject, examine, subjects
from w2dual.conformance.report import failures, text
from w2dual.jobs.defaults import add_whole_config, config_files
from w2dual.records import InputError, json_argument


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the job's arguments."""
    parser.add_argument("what", choices=SECTIONS, help="what the module is a kind of")
    parser.add_argument("name", help="the module, or an entry of the config that names it")
    parser.add_argument(
        "--settings",
        metavar="JSON",
        help="settings of its `make`, as JSON or as the path of a JSON file (default: those of "
        "each entry of the config that is of this kind)",
    )
    add_whole_config(parser)


def main(args: argparse.Namespace) -> None:
    """Print a verdict for each check.

    Raises:
        InputError: a check failed, or there is nothing to check.
    """
    configure()
    if args.settings is None:
        chosen = subjects(args.what, args.name, load(config_files(args)))
    else:
        settings = json_argument(args.settings)
        if not isinstance(settings, dict):
            raise InputError(f"--settings {json.dumps(settings)}: expected an object, as in {{}}")
        settings.pop("kind", None)
        chosen = [Subject(args.what, args.name, args.name, settings)]
    failed = []
    for subject in chosen:
        verdicts = examine(subject)
        sys.stdout.write(text(subject, verdicts))
        failed += failures(subject, verdicts)
    if failed:
        raise InputError("; ".join(failed))
