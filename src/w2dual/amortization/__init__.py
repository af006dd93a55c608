"""Amortization: the model x_tilde that predicts the conjugate's argmin, and its losses.

Pure functions (Amos 2023, section 3.2). J_f(x; y) = f(x) - <x, y>. A loss is one module of this
package with `make(settings)`, which gives a function from an `AmortizationBatch` to a scalar; the
config names it under `amortizations`. A model is one module of `amortization.models`.
"""

from w2dual.amortization.base import AmortizationBatch, Loss, make_loss
from w2dual.amortization.models import make_model

__all__ = ["AmortizationBatch", "Loss", "make_loss", "make_model"]
