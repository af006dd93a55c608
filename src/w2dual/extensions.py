"""Finding the module of a kind and calling its `make`, with messages for whoever wrote the module.

A kind of potential, amortization loss, conjugate solver or pair of measures is one module. What it
gives is checked once, by shape alone, where it is made: what is wrong is then said in its own
terms, and not from within a compiled loop.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn, TypeVar

import jax
from flax.errors import FlaxError

from w2dual.records import InputError

Result = TypeVar("Result")

MISTAKES = (
    *(TypeError, ValueError, AttributeError, LookupError, ArithmeticError, NameError),
    *(AssertionError, NotImplementedError, FlaxError),
)
"""What a module that was written wrongly raises when it is tried; its message is passed on."""


def make(
    package: str,
    what: str,
    signature: str,
    gives: str,
    kind: str,
    *arguments: Any,
    known: Callable[[], Iterable[str]],
) -> Any:
    """Call `make` of the module `package.kind`.

    Args:
        package: full name of the package of such modules.
        what: kind of thing, as in "potential".
        signature: of `make`, in words.
        gives: what it has to give, in words.
        kind: name of the module.
        arguments: of `make`, the settings first.
        known: returns the kinds that there are, for the message about an unknown one.

    Raises:
        InputError: there is no such module, it cannot be imported, has no `make`, or that cannot
            be called.
    """
    full = f"{package}.{kind}"
    if not kind.isidentifier():  # it may come from an archive
        raise InputError(f"{what} kind {kind!r}: expected the name of a module of {package}")
    try:
        module = importlib.import_module(full)
    except ModuleNotFoundError as error:
        if error.name == full:
            raise InputError(
                f"{what} kind {kind!r}: there is no module {full}; add it, or use one of the "
                f"known kinds: {', '.join(known()) or 'none so far'}"
            ) from error
        raise InputError(f"{full} cannot be imported: {error}") from error
    except (ImportError, SyntaxError, *MISTAKES) as error:
        raise InputError(f"{full} cannot be imported: {_worded(error)}") from error
    if not callable(getattr(module, "make", None)):
        raise InputError(f"{full} lacks `{signature}`, which returns {gives}")
    return tried(
        lambda: module.make(*arguments),
        f"{what} kind {kind!r}: `make` of {full} does not work with {_settings(arguments[0])}; "
        f"expected `{signature}`, which returns {gives}",
    )


def tried(action: Callable[[], Result], message: str) -> Result:
    """Do something with an extension; what goes wrong is told after `message`.

    Raises:
        InputError: it went wrong.
    """
    try:
        return action()
    except InputError:
        raise
    except MISTAKES as error:
        raise InputError(f"{message}. {_worded(error)}") from error


def shapes(action: Callable[..., Any], *arguments: Any, message: str) -> Any:
    """Return the shapes and types of what a function gives, without computing anything.

    Raises:
        InputError: the function cannot be traced; the message begins with `message`.
    """
    return tried(lambda: jax.eval_shape(action, *arguments), message)


def described(value: Any) -> str:
    """Return shape and type of an array, or the type of anything else, for a message."""
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"shape {tuple(value.shape)} of {value.dtype}"
    return type(value).__name__


def is_array(value: Any, shape: tuple[int, ...], kind: str = "f") -> bool:
    """Whether a value is an array of a shape, of floats (`f`) or whole numbers (`i`)."""
    if not hasattr(value, "shape") or not hasattr(value, "dtype"):
        return False
    return tuple(value.shape) == shape and value.dtype.kind == kind


def refuse(what: str, kind: str, reason: str, remedy: str) -> NoReturn:
    """Say what is wrong with an extension and what would be right.

    Raises:
        InputError: always.
    """
    raise InputError(f"{what} kind {kind!r}: {reason}; {remedy}")


def without_kind(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that go to `make`."""
    return {key: value for key, value in settings.items() if key != "kind"}


def _settings(settings: Any) -> str:
    return f"the settings {dict(settings)}" if settings else "no settings"


def _worded(error: BaseException) -> str:
    text = str(error).strip().split("\n\n")[0]
    return f"{type(error).__name__}: {text}"
