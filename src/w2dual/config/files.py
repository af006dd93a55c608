"""The files that Snakemake reads before the workflow's code runs, judged by their texts.

It reads config files and profiles by its own loader, so that what the workflow gets are values.
Here their texts are read again, by `strict_yaml`.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from w2dual.config import strict_yaml
from w2dual.records import InputError

_DAYS = re.compile(r"\s*[0-9]+\s*-\s*[0-9]+\s*")


def check(workflow: Any, argv: Sequence[str], environ: Mapping[str, str]) -> None:
    """Check the text of each config file, of `--config`, and of the profile.

    Args:
        workflow: Snakemake's workflow object.
        argv: Snakemake's arguments.
        environ: Snakemake's environment.

    Raises:
        InputError: a value means something else than what is written; the message names file,
            line and key.
    """
    check_texts(workflow.configfiles, workflow.config_settings.config_args or ())
    if workflow.is_main_process:  # the jobs' own Snakemake is told all that the profile says
        start = started_in(workflow, environ)
        for path in profiles(argv, environ, start, Path(workflow.basedir)):
            check_runtimes(path, strict_yaml.load(path, flags=True))


def started_in(workflow: Any, environ: Mapping[str, str]) -> Path:
    """Return the folder that Snakemake was started in, also where `--directory` names another."""
    here = workflow.workdir_init
    # ASSUME: a shell keeps $PWD. Snakemake itself has left the folder, and does not say which.
    return Path(here if workflow.overwrite_workdir is None else environ.get("PWD", here))


def check_texts(configfiles: Iterable[str | Path], arguments: Iterable[str]) -> None:
    """Check the text of config files, and of `--config KEY=VALUE`.

    Raises:
        InputError: as for `check`.
    """
    for path in configfiles:
        strict_yaml.load(path)
    strict_yaml.check_arguments(arguments)


def check_runtimes(path: Path, profile: Mapping[str, Any]) -> None:
    """Check that no time of a profile is one of SLURM's that Snakemake would compute.

    It takes texts for expressions, so that 1-00, a day to SLURM, is 1 minute.

    Raises:
        InputError: there is one; the message names the file and the key.
    """
    for section in ("default-resources", "set-resources"):
        for key, text in _texts(profile.get(section), section):
            name, _, assigned = text.rpartition("=")  # NAME=VALUE, in a list
            if (key + name).endswith("runtime") and _DAYS.fullmatch(assigned):
                raise InputError(
                    f"{path}: `{key}`: {text} would be read as a difference, not as days and "
                    "hours; write minutes, or such as 1d or 36h"
                )


def _texts(value: Any, key: str) -> Iterator[tuple[str, str]]:
    """Return each text of nested mappings and lists, with its key."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _texts(item, f"{key}.{name}")
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item, key)
    elif isinstance(value, str):
        yield key, value


def profiles(
    argv: Sequence[str], environ: Mapping[str, str], start: Path, checkout: Path
) -> list[Path]:
    """Find the files of the profiles that Snakemake was started with.

    They are those of `--profile`, or else of $SNAKEMAKE_PROFILE, and the workflow's own, which is
    `profiles/default` where `--workflow-profile` names none.

    Args:
        argv: Snakemake's arguments.
        environ: Snakemake's environment.
        start: the folder it was started in.
        checkout: the folder of the Snakefile.
    """
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--profile", action="append")
    parser.add_argument("--workflow-profile")
    known, _ = parser.parse_known_args([str(item) for item in argv])
    named = known.profile or [item for item in [environ.get("SNAKEMAKE_PROFILE")] if item]
    found = [_file(start, name) for name in named if name != "none"]
    if (own := known.workflow_profile or "default") != "none":
        places = [start / own] if known.workflow_profile else []
        places += [start / "profiles" / own, checkout / "profiles" / own]
        found += [_file(start, str(place)) for place in places if place.exists()][:1]
    return [path for path in found if path is not None]


def _file(start: Path, profile: str) -> Path | None:
    from snakemake.cli import get_profile_dir

    # A path, or a name that Snakemake looks up in the user's and the site's folders.
    place = start / profile
    found = get_profile_dir(str(place) if place.exists() else profile)
    return found[1] if found else None
