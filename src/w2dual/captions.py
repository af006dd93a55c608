"""What the report says under each table and figure, in LaTeX: what it shows, and what to look at.

One without an entry here, such as a figure of your own, has its name for a caption.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from w2dual.latex import escape

OVERVIEW = "overview"
"""Name of the figure that stands on the first page."""
SECTIONS = (
    ("Accuracy on the benchmark", ()),
    ("Run time and conjugation", ("runtime_hd", "conjugation_iterations", "conjugation_time")),
    ("Couplings on the plane", ("synthetic",)),
    (
        "Settings",
        ("hyperparameters_hd", "hyperparameters_synthetic", "hyperparameters_celeba64"),
    ),
)
"""Titles, in order, with the tables and figures in them.

What none of them names stands in the first, but for figures of cells on the plane, which stand in
the third.
"""
PLANE_SECTION = SECTIONS[2][0]
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
    "runtime_hd": (
        "What training a cell takes, one seed's share of its job. What to look at: how much of the "
        "time a conjugate solver costs over the same loss without one, and how it grows with the "
        "dimension; beside the tables of accuracy, whether it buys anything."
    ),
    "conjugation_iterations": (
        "Iterations that the conjugate solver needs from its amortized start once training has "
        "ended. What to look at: which loss makes the better start for the same solver, and "
        "whether a solver runs into its limit."
    ),
    "conjugation_time": (
        "Time to conjugate a batch on trained parameters, one seed's share. What to look at: "
        "whether fewer iterations are less time, since an iteration of L-BFGS costs more than one "
        "of Adam."
    ),
    "hyperparameters_hd": (
        "Settings of the benchmark's cells, from the config that ran. What to look at: values "
        r"with a dagger, which are not the paper's."
    ),
    "hyperparameters_synthetic": (
        "Settings of the cells on the plane, from the config that ran. What to look at: values "
        r"with a dagger, which are not those of config.yaml."
    ),
    "hyperparameters_celeba64": (
        "Settings of the CelebA64 part of the benchmark. What to look at: that nothing was trained "
        "with them here, so that no table above has its numbers."
    ),
    "synthetic": (
        "Couplings on the plane, where no optimal map is known. What to look at: how far the "
        r"distances $W_2^2$ and Sinkhorn are from their floors, and whether the Monge gap of the "
        "non-convex potential (MLP) is as small as that of the input-convex one (ICNN), which has "
        "none by construction."
    ),
}
ACCURACY = {
    "accuracy_vs_cost": (
        r"L$^2$-UVP of the forward map against the training time of one seed, its share of the "
        "cell's job. What to look at: the cells towards the lower left, which nothing beats in "
        "both, and what an amortization loss gains by a solver for the time it costs. Hollow marks "
        "at the upper edge are cells that failed."
    ),
    "accuracy_vs_dimension": (
        r"L$^2$-UVP of the forward map against the dimension; dashed: the paper's values, in the "
        "same colours. What to look at: whether solid and dashed lines of a colour lie together, "
        "and from which dimension on a method fails (hollow marks at the upper edge)."
    ),
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
