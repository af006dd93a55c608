"""The one door to Pallas, which is loaded where a kernel is built: a CPU has no use for it.

So whoever may need a kernel imports it like any other module, and pays for Pallas on a GPU alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jax.experimental import pallas as pl
    from jax.experimental.pallas import triton
else:

    class _Pallas:
        """Stands for `jax.experimental.pallas`."""

        def __getattr__(self, name: str) -> Any:
            from jax.experimental import pallas

            return getattr(pallas, name)

    class _Triton:
        """Stands for `jax.experimental.pallas.triton`."""

        def __getattr__(self, name: str) -> Any:
            from jax.experimental.pallas import triton

            return getattr(triton, name)

    pl, triton = _Pallas(), _Triton()

__all__ = ["pl", "triton"]
