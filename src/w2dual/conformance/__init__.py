"""Conformance: whether the module of a kind keeps what the rest relies on, check by check.

One suite for each kind of thing, run by `w2dual check` on any module, and by the tests on ours.
Small closed-form problems; nothing is trained, and a module that never ends is noticed.
"""

from w2dual.conformance.base import Verdict
from w2dual.conformance.subjects import SECTIONS, Subject, examine, subjects

__all__ = ["SECTIONS", "Subject", "Verdict", "examine", "subjects"]
