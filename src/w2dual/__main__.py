"""One subcommand per job: `python -m w2dual JOB --help`.

Each is a thin module of `w2dual.jobs`, imported when its job runs, so that the light ones start
without JAX.
"""

from __future__ import annotations

import os
import sys

# `python -m` searches the current folder first, before Python's own modules; it may be that of an
# archive, from which `json` must not be taken.
if __name__ == "__main__" and not sys.flags.safe_path and sys.path[0] in ("", os.getcwd()):
    del sys.path[0]

import io
import logging
from collections.abc import Sequence

from w2dual import environment
from w2dual.jobs.dispatch import parser, run
from w2dual.records import FULL, InputError, unwritable
from w2dual.subcommands import JOBS

_NO_BACKEND = "Unable to initialize backend"
"""How JAX begins its error where what it is to run on is not there."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one job; return the exit code: 0, or 2 where the input cannot be used."""
    argv = list(sys.argv[1:] if argv is None else argv)
    job = next((word for word in argv if word in JOBS), None)
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s  %(message)s",
        datefmt="%H:%M:%S",
        stream=sys.stderr,
    )
    logging.getLogger("jax").setLevel(logging.WARNING)
    if isinstance(sys.stdout, io.TextIOWrapper):  # a letter that the terminal lacks ends no job
        sys.stdout.reconfigure(errors="backslashreplace")
    environment.settle()  # before any job's module imports JAX or matplotlib
    try:
        run(parser(job, __doc__.splitlines()[0] if __doc__ else "").parse_args(argv))
        sys.stdout.flush()
    except InputError as error:
        sys.stderr.write(f"w2dual {job}: {error}\n")
        return 2
    except RuntimeError as error:
        if not str(error).startswith(_NO_BACKEND):
            raise
        sys.stderr.write(f"w2dual {job}: {_no_backend(error)}\n")
        return 2
    except BrokenPipeError:  # as of `w2dual cells | head`
        _drop_output()
        return 1
    except OSError as error:
        if error.errno not in FULL:
            raise
        _drop_output()
        where = error.filename2 or error.filename or "standard output or a temporary file"
        sys.stderr.write(f"w2dual {job}: {unwritable(where, error)}\n")
        return 2
    return 0


def _no_backend(error: RuntimeError) -> str:
    """Say that JAX has no device to run on, and which variable asks for one."""
    asked = os.environ.get("JAX_PLATFORMS", "")
    found = (
        str(error)
        .removesuffix(" (set JAX_PLATFORMS='' to automatically choose an available backend)")
        .rstrip(".")
    )
    remedy = (
        f"JAX_PLATFORMS={asked} asks for it; unset it, or set it to cpu or cuda, in lower case"
        if asked
        else "set JAX_PLATFORMS=cpu to do without a GPU"
    )
    return f"JAX cannot start: {found}; {remedy}"


def _drop_output() -> None:
    """Let Python's last flush of what could not be written go nowhere."""
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
