"""The linear optimal map between two measures with given means and covariances.

Between Gaussians it is the optimal map itself (the Bures map): T(x) = A (x - m1) + m2 with
A = S1^-1/2 (S1^1/2 S2 S1^1/2)^1/2 S1^-1/2, symmetric and positive definite.
Source: Peyré and Cuturi, Computational Optimal Transport, remark 2.31.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def root(matrix: Float[np.ndarray, "n n"]) -> Float[np.ndarray, "n n"]:
    """Return the symmetric root of a symmetric positive semidefinite matrix."""
    eigenvalues, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.maximum(eigenvalues, 0.0))) @ vectors.T


def bures_matrix(
    cov_from: Float[np.ndarray, "n n"], cov_to: Float[np.ndarray, "n n"]
) -> Float[np.ndarray, "n n"]:
    """Return the symmetric A with A cov_from A = cov_to; `cov_from` must be invertible."""
    root_from = root(cov_from)
    inverse = np.linalg.inv(root_from)
    matrix = inverse @ root(root_from @ cov_to @ root_from) @ inverse
    return (matrix + matrix.T) / 2
