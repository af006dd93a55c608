"""Reads what Snakemake says it would do."""

import re


def planned(output: str) -> dict[str, int]:
    """The count of jobs per rule, from the table that a dry run prints."""
    table = re.search(r"^job +count\n[- ]+\n(?P<rows>(?:\w+ +\d+\n)+)", output, re.MULTILINE)
    if table is None:
        return {}
    rows = (row.split() for row in table["rows"].splitlines())
    return {rule: int(count) for rule, count in rows if rule != "total"}


def trained(output: str) -> set[str]:
    """The cells that a dry run would train."""
    return set(re.findall(r"Training (\S+)", output))
