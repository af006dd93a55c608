"""What a check is, the verdict on it, and what several suites ask."""

from __future__ import annotations

import abc
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any, Generic, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from w2dual.extensions import MISTAKES
from w2dual.records import InputError

Thing = TypeVar("Thing")


class Failed(Exception):
    """A check did not pass; the text says what was found and what would be right."""


class Check(NamedTuple):
    """One check.

    Attributes:
        name: in a word or a few.
        run: returns what was found, in words; raises `Failed` where it is wrong.
        needed: without it the checks that follow mean nothing, and are not tried.
    """

    name: str
    run: Callable[[], str]
    needed: bool = False


class Verdict(NamedTuple):
    """What came of a check."""

    check: str
    passed: bool
    words: str


def judge(checks: Iterable[Check]) -> list[Verdict]:
    """Run checks in order, as far as they mean something, and return the verdicts.

    What a module raises is a verdict too.
    """
    verdicts = []
    for check in checks:
        passed = False
        try:
            words, passed = check.run(), True
        except (Failed, InputError) as error:
            words = str(error)
        except (RuntimeError, *MISTAKES) as error:
            words = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
        verdicts.append(Verdict(check.name, passed, words))
        if check.needed and not passed:
            break
    return verdicts


def require(fine: Any, otherwise: str) -> None:
    """Check that something holds.

    Raises:
        Failed: it does not; the text is `otherwise`.
    """
    if not fine:
        raise Failed(otherwise)


def same(left: Any, right: Any) -> bool:
    """Return whether two trees of arrays have the same bits, of NaNs only that they are NaNs."""
    pairs = zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True)
    return all(np.array_equal(a, b, equal_nan=True) for a, b in pairs)


def all_finite(tree: Any) -> bool:
    """Return whether all numbers of a tree of arrays are finite."""
    return all(bool(np.isfinite(leaf).all()) for leaf in jax.tree.leaves(tree))


def keeps_no_state(function: Callable[..., Any], again: Callable[..., Any], *given: Any) -> None:
    """Check that a function is traced to the same program twice, and that of a second `make` too.

    The program is what JAX records of a call: a counter in the module, a random number drawn on the
    host or a result that is kept for later shows in it, though nothing is compiled.

    Args:
        function: of what `make` returned.
        again: the same of what `make` returned when it was called once more.
        given: arguments of both.

    Raises:
        Failed: programs differ.
    """
    first = _program(function, *given)
    remedy = "expected results that depend on settings and arguments alone; keep no state"
    require(same_program(first, _program(function, *given)), f"two calls differ; {remedy}")
    require(
        same_program(first, _program(again, *given)),
        f"what `make` returns differs from one call of it to the next; {remedy}",
    )


class Suite(abc.ABC, Generic[Thing]):
    """What the suites of kinds with a `make` share: its settings, what it returns, and its state.

    Attributes:
        settings: of `make`, with the kind.
    """

    def __init__(self, kind: str, settings: Mapping[str, Any]) -> None:
        """Take the kind and its settings."""
        self.settings: dict[str, Any] = {**settings, "kind": kind}

    @abc.abstractmethod
    def make(self) -> Thing:
        """Return what the module's `make` returns."""

    @abc.abstractmethod
    def traced(self, made: Thing) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """Return what is to be the same program at each call of it, and the arguments of it."""

    @cached_property
    def made(self) -> Thing:
        """Return what `make` returned first."""
        return self.make()

    def no_state(self) -> str:
        """Check that neither calls nor `make` keep a state."""
        (first, given), (again, _) = self.traced(self.made), self.traced(self.make())
        keeps_no_state(first, again, *given)
        return "two calls, and two calls of `make`, give the same program"


Program = tuple[str, list[np.ndarray]]


def same_program(left: Program, right: Program) -> bool:
    """Return whether two programs have the same operations and constants."""
    return left[0] == right[0] and len(left[1]) == len(right[1]) and same(left[1], right[1])


def _program(function: Callable[..., Any], *given: Any) -> Program:
    """Return the operations that a function is traced to, as text, and the constants in it."""
    # A function of its own, since JAX remembers what it traced.
    traced = jax.make_jaxpr(lambda *arguments: function(*arguments))(*given)
    return re.sub(r" at 0x[0-9a-f]+", "", str(traced.jaxpr)), [_plain(c) for c in traced.consts]


def _plain(constant: Any) -> np.ndarray:
    if hasattr(constant, "dtype") and jnp.issubdtype(constant.dtype, jax.dtypes.prng_key):
        constant = jax.random.key_data(constant)
    return np.asarray(constant)
