"""Writes envs/w2dual.yaml, the conda environment for `--sdm conda`, from the lock file cpu.txt.

Usage: python envs/export_conda.py            write the file
       python envs/export_conda.py --check    exit with 1 if the file does not follow the lock
"""

import argparse
import re
import sys
from pathlib import Path

PYTHON = "3.11"
LOCK = Path(__file__).with_name("cpu.txt")
ENVIRONMENT = Path(__file__).with_name("w2dual.yaml")

_PINNED = re.compile(r"^(?P<pin>[A-Za-z0-9._-]+==[^\s;\\]+)(?:\s*;\s*(?P<marker>[^\\]+?))?\s*\\?$")


def pins(lock: str) -> list[str]:
    """The lock's requirements, one line each, without hashes and comments.

    Environment markers stay, since one lock serves all platforms. conda's pip section has no
    place for hashes.

    Args:
        lock: text of a file written by `uv pip compile`.

    Returns:
        Lines such as "numpy==2.4.6" or "colorama==0.4.6 ; sys_platform == 'win32'".

    Raises:
        ValueError: a line is neither a pin, nor a hash, nor a comment.
    """
    found = []
    for number, line in enumerate(lock.splitlines(), start=1):
        text = line.strip()
        if not text or text.startswith(("#", "--hash=")):
            continue
        match = _PINNED.match(text)
        if match is None:
            raise ValueError(f"line {number} is not `name==version`: {line!r}")
        marker = match["marker"]
        found.append(f"{match['pin']} ; {marker}" if marker else match["pin"])
    return found


def environment(lock: str) -> str:
    """The conda environment, as YAML text, that installs what the lock pins."""
    lines = [
        "# The environment of every rule under `--sdm conda`.",
        "# Made from cpu.txt by export_conda.py (`make lock`); don't edit.",
        "channels:",
        "  - conda-forge",
        "  - nodefaults",
        "dependencies:",
        f"  - python={PYTHON}",
        "  - pip",
        "  - pip:",
        *(f'      - "{pin}"' for pin in pins(lock)),
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Write the file, or with --check compare it; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 on a difference"
    )
    wanted = environment(LOCK.read_text(encoding="utf-8"))
    if not parser.parse_args().check:
        ENVIRONMENT.write_text(wanted, encoding="utf-8")
        return 0
    if ENVIRONMENT.is_file() and ENVIRONMENT.read_text(encoding="utf-8") == wanted:
        return 0
    sys.stderr.write(f"{ENVIRONMENT} does not follow {LOCK.name}: run `make lock`\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
