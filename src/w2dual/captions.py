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
    "synthetic": (
        "Couplings on the plane, where no optimal map is known. What to look at: how far the "
        r"distances $W_2^2$ and Sinkhorn are from their floors, and whether the Monge gap of the "
        "non-convex potential (MLP) is as small as that of the input-convex one (ICNN), which has "
        "none by construction."
    ),
    "lbfgs_line_search": (
        "What L-BFGS costs by its line search, warm started on a trained cell. What to look at: "
        "the runtime only of rows whose gradient norms and $J$ excess are as small as the others', "
        "since a search that stops early is fast and wrong; and whether trying all steps in "
        "parallel pays on this device."
    ),
    "wolfe_vs_armijo": (
        "The same number of L-BFGS iterations with a strong Wolfe and with an Armijo line search. "
        "What to look at: the factor between them as the dimension grows, and only where both do "
        "as many iterations and $J$ excess is alike, since a search that gives up is fast too."
    ),
}
_CONJUGATION = (
    r"Conjugation on cells with POTENTIAL potential; number of points, device and preset stand at "
    r"its lower edge. The objective on the way down, normalised for each point by the lowest and "
    r"highest value that any method meets, a line for each of a few points; the share of all "
    r"points for which L-BFGS has ended after so many iterations, and by the gradient norm that "
    r"it ended at; and how good the start $\tilde x(y)$ was while the cell was trained, by its "
    r"gradient norm and its amortization gap $J_f(\tilde x)-J_f(\hat x)$. What to look at: how "
    r"many iterations the warm start saves, whether it ends at the same accuracy, and whether the "
    r"gap closes as training goes on."
)
CONJUGATION = {
    "conjugation_hd_icnn": _CONJUGATION.replace("POTENTIAL", "an input-convex"),
    "conjugation_hd_mlp": _CONJUGATION.replace("POTENTIAL", "a non-convex"),
}
FIGURES = {
    OVERVIEW: (
        r"One pair on the plane from end to end. What to look at: whether the source, moved by "
        r"$T=\nabla f$, covers the target, and the target, moved by $\nabla f^*$, the source."
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
