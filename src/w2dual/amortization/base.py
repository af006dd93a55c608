"""What an amortization loss may use, and how the loss of a cell is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast

from jaxtyping import Array, Float

from w2dual import extensions
from w2dual.config import kinds
from w2dual.records import InputError


class AmortizationBatch(NamedTuple):
    """What a loss may use, for one batch.

    `potential` and `gradient` let gradients through to f's parameters, the `_fixed` ones do not.
    """

    potential_fixed: Callable[[Float[Array, "batch n"]], Float[Array, " batch"]]
    gradient: Callable[[Float[Array, "batch n"]], Float[Array, "batch n"]]
    gradient_fixed: Callable[[Float[Array, "batch n"]], Float[Array, "batch n"]]
    model: Callable[[Float[Array, "batch n"]], Float[Array, "batch n"]]
    x: Float[Array, "batch n"]
    y: Float[Array, "batch n"]
    x_tilde: Float[Array, "batch n"]
    x_hat: Float[Array, "batch n"]
    fine_tuned: bool


Loss = Callable[[AmortizationBatch], Float[Array, ""]]


def make_loss(settings: Mapping[str, Any]) -> Loss | None:
    """Build the loss that the settings describe; None for kind `none`.

    Raises:
        InputError: the kind is unknown, or its settings do not fit.
    """
    kind = settings["kind"]
    if kind == "none":
        return None
    loss = extensions.make(
        str(__package__),
        "amortization loss",
        "make(settings)",
        "a function from an `AmortizationBatch` to a scalar",
        kind,
        extensions.without_kind(settings),
        known=lambda: kinds.of("amortizations"),
    )
    if not callable(loss):
        raise InputError(
            f"amortization loss kind {kind!r}: `make` gives {extensions.described(loss)}; expected "
            "a function from an `AmortizationBatch` to a scalar"
        )
    return cast("Loss", loss)
