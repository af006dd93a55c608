"""Snakemake's command line in a fork of a process that has imported it: a third of a start's cost.

What it is given (arguments, folder, environment) and what it gives (output, exit code) are those
of a process of its own, and nothing of a checkout is imported before the fork. One thing differs:
all forks have the same hash seed. What must not depend on that is tested in processes.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from subprocess import CompletedProcess

ROOT = Path(__file__).parents[2]
LIBRARIES = (
    *("snakemake.cli", "snakemake.persistence", "snakemake.scheduling.job_scheduler"),
    *("snakemake_executor_plugin_slurm", "jsonschema", "yaml"),
)
"""What each start imports."""


def snakemake(
    arguments: tuple[str, ...], folder: Path, environment: Mapping[str, str]
) -> CompletedProcess[str]:
    """Run Snakemake in a folder; standard output and error come as one text."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(LIBRARIES))
    with tempfile.TemporaryDirectory() as place:
        said = Path(place) / "said"
        process = context.Process(target=_run, args=(arguments, folder, dict(environment), said))
        process.start()
        process.join()
        assert process.exitcode is not None
        return CompletedProcess(arguments, process.exitcode, said.read_text(encoding="utf-8"))


def _run(
    arguments: tuple[str, ...], folder: Path, environment: Mapping[str, str], said: Path
) -> None:
    with said.open("wb") as stream:
        for descriptor in (1, 2):
            os.dup2(stream.fileno(), descriptor)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    # Those that pytest adds go; the first is that of `python -m`.
    added = {str(ROOT), str(ROOT / "src")}
    sys.path[:] = [str(folder), *(path for path in sys.path if path not in added)]
    sys.argv = ["snakemake", *arguments]
    assert not [name for name in sys.modules if name.partition(".")[0] == "w2dual"]
    from snakemake.cli import main

    main(arguments)
