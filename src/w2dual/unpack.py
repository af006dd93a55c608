"""The job `unpack`: an archive's files in a new folder, once its directory is known to be safe."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from w2dual.archive import Archive

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the job's arguments."""
    parser.add_argument("bundle", type=Path, help="the archive, a .zip")
    parser.add_argument("--into", type=Path, required=True, help="a new or empty folder")


def main(args: argparse.Namespace) -> None:
    """Run the job.

    Raises:
        InputError: the archive is not safe to unpack, or the folder is not empty.
    """
    with Archive(args.bundle) as archive:
        archive.unpack(args.into)
        log.info("%s: %d files unpacked", args.into, len(archive.names))
