"""What the report says under each table and figure, in LaTeX: what it shows, and what to look at.

One without an entry here, such as a figure of your own, has its name for a caption.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from w2dual.latex import escape

OVERVIEW = "overview"
"""Name of the figure that stands on the first page."""
TABLES = {
    "hd_icnn": (
        r"L$^2$-UVP of the forward map, input-convex potential (ICNN). What to look at: whether a "
        "conjugate solver improves on the same amortization loss without one, and the distance to "
        "the quoted baselines."
    ),
    "hd_mlp": (
        r"L$^2$-UVP of the forward map, non-convex potential (MLP). What to look at: which losses "
        "stay finite without a solver, and whether objective and regression with one reach lower "
        "values than any input-convex potential does."
    ),
    "trivial_maps": (
        "Trivial maps on the same measures: what a learned map has to beat to have learned "
        "anything. What to look at: the linear map's forward error as the yardstick."
    ),
    "verdict_hd": (
        "The verdict: each cell of tables 2 and 3 of the paper beside ours. What to look at: cells "
        "that are worse, and whether those called inconclusive have intervals that lie around 0."
    ),
    "claims": (
        "What the paper says about its tables, checked on these. What to look at: claims whose "
        "word differs from the one that the paper's own numbers get."
    ),
    "synthetic": (
        "Couplings on the plane, where no optimal map is known. What to look at: how far the "
        r"distances $W_2^2$ and Sinkhorn are from their floors, and whether the Monge gap of the "
        "non-convex potential (MLP) is as small as that of the input-convex one (ICNN), which has "
        "none by construction."
    ),
}
FIGURES = {
    OVERVIEW: (
        r"One pair on the plane from end to end. What to look at: whether the source, moved by "
        r"$T=\nabla f$, covers the target, and the target, moved by $\nabla f^*$, the source."
    ),
    "verdict_hd": (
        "The verdict on each cell that the paper reports in high dimensions; the table of the "
        "verdict has the numbers. What to look at: rows, which are methods, and columns, which are "
        "dimensions, that differ from the rest."
    ),
    "transport": (
        r"Samples of the source moved by $T=\nabla f$ and samples of the target moved by "
        r"$\nabla f^*$. What to look at: mass that was left between the parts of the other "
        "measure, and parts that got none."
    ),
    "potential": (
        r"Level sets of the learned potential $f$, whose gradient is the map. What to look at: "
        "kinks, where the map tears a connected source apart, and where the level sets of an "
        "input-convex potential, which bound convex sets, limit it."
    ),
    "flow": (
        r"The path $(1-t)x+tT(x)$ of samples of the source, from $t=0$ to $t=1$, and back. What "
        "to look at: whether the points spread without holes or folds on the way, and arrive."
    ),
    "density": (
        r"Densities that the maps give by the change of variables, which needs second derivatives "
        r"of $f$, beside the true ones. What to look at: mass in the wrong place, and ridges "
        "where the potential's curvature is not smooth."
    ),
    "landscape": (
        r"The objective $J_f(x;y)=f(x)-\langle x,y\rangle$ of the conjugate at a point $y$. What "
        r"to look at: how near the amortized start $\tilde x(y)$ is to the minimum $\hat x(y)$ "
        "that the solver finds from there, and whether there are other minima."
    ),
    "interpolation": (
        r"From one image to the other: the source image's mass at $(1-t)x+tT(x)$. What to look at: "
        "whether the outline of the last picture is that of the target image, without holes."
    ),
}


def caption(path: Path, known: Mapping[str, str]) -> str:
    """Give the caption of a table or figure."""
    return known.get(path.stem, escape(path.stem.replace("_", " ")))
