"""Verdicts in words, for the terminal."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence

from w2dual.conformance.base import Verdict
from w2dual.conformance.subjects import Subject

_WIDTH = 100


def text(subject: Subject, verdicts: Sequence[Verdict]) -> str:
    """Return a heading that says what was examined, and a line or more for each check."""
    wide = max(len(verdict.check) for verdict in verdicts)
    lines = [f"{_title(subject)} with the settings {json.dumps(subject.settings)}"]
    for check, passed, words in verdicts:
        head = f"  {'passed' if passed else 'FAILED'}  {check:<{wide}}  "
        lines += textwrap.wrap(
            words, _WIDTH, initial_indent=head, subsequent_indent=" " * len(head)
        )
    return "\n".join(lines) + "\n"


def failures(subject: Subject, verdicts: Sequence[Verdict]) -> list[str]:
    """Return one line that names the checks which failed, or none."""
    failed = [verdict.check for verdict in verdicts if not verdict.passed]
    if not failed:
        return []
    names = "; ".join(failed)
    return [f"{_title(subject)}: {len(failed)} of {len(verdicts)} checks failed: {names}"]


def _title(subject: Subject) -> str:
    entry = f" ({subject.name})" if subject.name != subject.kind else ""
    return f"{subject.what} {subject.kind}{entry}"
