"""What the report says under each table and figure, in LaTeX: what it shows, and what to look at.

One without an entry here, such as a figure of your own, has its name for a caption.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from w2dual.report.latex import escape

OVERVIEW = "overview"
"""Name of the figure that stands on the first page."""
TABLE_SECTION = "Accuracy on the benchmark"
"""Title of the section for tables that no section names."""
SYNTHETIC_SECTION = "Couplings on the plane"
"""Title of the section for figures that no section names: those of cells on the plane."""
IMAGE_SECTION = "Images: CelebA64"
"""Title of the section of the CelebA64 cells."""
SETTINGS_SECTION = "Settings"
SECTIONS = (
    ("Has it reproduced?", ("verdict_hd", "claims")),
    (TABLE_SECTION, ("accuracy_vs_dimension", "accuracy_over_seeds")),
    (
        "Run time and conjugation",
        ("runtime_hd", "conjugation_iterations", "conjugation_time", "accuracy_vs_cost"),
    ),
    (
        "How conjugates are found",
        ("lbfgs_line_search", "wolfe_vs_armijo", "conjugation_hd_icnn", "conjugation_hd_mlp"),
    ),
    (SYNTHETIC_SECTION, ("synthetic",)),
    (
        IMAGE_SECTION,
        ("celeba64", "verdict_celeba64", "claims_celeba64", "costs_celeba64", "celeba64_samples")
        + ("conjugation_celeba64",),
    ),
)
"""Titles of the paper's own sections, in order, with the tables and figures in them."""
INTRODUCTIONS = {
    "How conjugates are found": (
        r"The conjugate $f^*(y)=-\min_x J_f(x;y)$ with $J_f(x;y)=f(x)-\langle x,y\rangle$, on "
        "trained cells of the benchmark, by L-BFGS and by Adam, started at $y$ itself (cold) and "
        r"at the amortization model's $\tilde x(y)$ (warm)."
    ),
    SYNTHETIC_SECTION: (
        "What the cells on the plane have learned, the first seed of each that has not diverged. "
        r"Each step draws fresh samples of source $\alpha$ and target $\beta$, from laws in closed "
        r"form or from the dark pixels of images. $f$ is the learned potential, $T=\nabla f$ moves "
        r"$\alpha$ to $\beta$, and $\nabla f^*$, which the conjugate solver computes, moves "
        r"$\beta$ to $\alpha$."
    ),
    IMAGE_SECTION: (
        r"The image pairs of the benchmark: source $\alpha$, images $x=G(z)+0.01\,e$ of a frozen "
        r"generator; target $\beta=T^*_\#\alpha$, where $T^*$ is the mean of the gradients of two "
        r"frozen input-convex convolutional networks, and makes images less sharp. Forward is "
        r"from sharp to blurred. The quoted baselines are of the inverse map: inferred, not stated "
        r"by their authors; no claim rests on comparing them with forward errors."
    ),
}
"""What stands between a section's title and its first table or figure."""
HALF_PAGE = ("accuracy_vs_cost", "accuracy_vs_dimension")
"""Figures of which two stand on a page."""
TABLES = {
    "hd_icnn": (
        r"L$^2$-UVP of the forward map, input-convex potential (ICNN). What to look at: whether a "
        "conjugate solver improves on the same amortization loss without one, and the distance to "
        "the quoted baselines, which the table of the benchmark's own methods has as they train "
        "here, where the preset has them."
    ),
    "hd_mlp": (
        r"L$^2$-UVP of the forward map, non-convex potential (MLP). What to look at: which losses "
        "stay finite without a solver, and whether objective and regression with one reach lower "
        "values than any input-convex potential does."
    ),
    "hd_baselines": (
        "The benchmark's own methods, run here, beside their published values. Both are the best "
        "evaluation of a run, chosen by the optimal map; the last is given too, which is how the "
        "paper's own methods are judged. What to look at: how far the last is from the best, and "
        "cells that are worse than published."
    ),
    "trivial_maps": (
        "Trivial maps on the same measures: what a learned map has to beat to have learned "
        "anything. What to look at: the linear map's forward error as the yardstick."
    ),
    "runtime_hd": (
        "What training a cell takes, one seed's share of its job. What to look at: how much of the "
        "time a conjugate solver costs over the same loss without one, and how it grows with the "
        "dimension; and, by the tables of accuracy, whether it buys anything."
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
    "hyperparameters_baselines": (
        "Settings of the benchmark's own methods, from the config that ran. What to look at: "
        r"values with a dagger, which are not those of config.yaml; and the steps of each method, "
        "which differ."
    ),
    "hyperparameters_synthetic": (
        "Settings of the cells on the plane, from the config that ran. What to look at: values "
        r"with a dagger, which are not those of config.yaml."
    ),
    "hyperparameters_celeba64": (
        "Settings of the CelebA64 cells, from the config that ran. What to look at: values "
        r"with a dagger, which are not the paper's."
    ),
    "celeba64": (
        r"L$^2$-UVP of both maps on images. What to look at: forward columns for the paper's own "
        "rows, inverse columns for the quoted baselines, the best beside them where the "
        "benchmark's own methods were trained here; and which methods fail without a solver."
    ),
    "verdict_celeba64": (
        "The verdict: each cell of the paper's CelebA64 table next to ours, forward, and our "
        "inverse errors beside. What to look at: cells that are worse."
    ),
    "claims_celeba64": (
        "What the paper says that its CelebA64 table bears on. What to look at: claims whose word "
        "differs from the one that the paper's own numbers get."
    ),
    "costs_celeba64": (
        "What the CelebA64 cells cost. What to look at: how much of the time a solver costs over "
        "the same loss without one, and how few iterations a warm start leaves."
    ),
    "verdict_hd": (
        "The verdict: each cell of tables 2 and 3 of the paper next to ours. What to look at: "
        "cells that are worse, and whether those called inconclusive have intervals around 0."
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
    r"Conjugation on cells with POTENTIAL potential; number of points, device and preset are at "
    r"its lower edge. The objective on the way down, normalised for each point by the lowest and "
    r"highest value that any method meets, a line for each of a few points; the share of all "
    r"points for which L-BFGS has ended after so many iterations, and by the gradient norm that "
    r"it ended at; and how good the start $\tilde x(y)$ was while the cell was trained, by its "
    r"gradient norm and its amortization gap $J_f(\tilde x)-J_f(\hat x)$. What to look at: how "
    r"many iterations the warm start saves, whether it ends at the same accuracy, and whether the "
    r"gap closes during training."
)
FIGURES = {
    "celeba64_samples": (
        r"What maps do to images, for each pair: $x$ of the source, $T^*(x)$, and $T(x)$ and "
        r"$T^{-1}(T^*(x))$ of the best and the worst method by the forward error, in which a "
        r"diverged seed counts as infinite. What to look at: rows of $T(x)$ against $T^*(x)$, and "
        r"of $T^{-1}(T^*(x))$ against $x$: an optimal map gives the same images."
    ),
    "conjugation_celeba64": _CONJUGATION.replace("POTENTIAL", "a convolutional"),
    "conjugation_hd_icnn": _CONJUGATION.replace("POTENTIAL", "an input-convex"),
    "conjugation_hd_mlp": _CONJUGATION.replace("POTENTIAL", "a non-convex"),
    "accuracy_vs_cost": (
        r"L$^2$-UVP of the forward map against the training time of one seed, its share of the "
        "cell's job. What to look at: the cells towards the lower left, which nothing beats in "
        "both, and what an amortization loss gains by a solver for the time it costs. Hollow marks "
        "at the upper edge are cells that failed. Names: the benchmark's own methods, where the "
        "preset has them."
    ),
    "accuracy_vs_dimension": (
        r"L$^2$-UVP of the forward map against the dimension; dashed: the paper's values, in the "
        "same colours. What to look at: whether solid and dashed lines of a colour lie together, "
        "and from which dimension on a method fails (hollow marks at the upper edge)."
    ),
    "accuracy_over_seeds": (
        r"L$^2$-UVP of the forward map seed by seed, and the median of each cell. What to look at: "
        "whether the seeds of two methods overlap, and how many seeds of a method fail (hollow "
        "marks at the right edge, with their number)."
    ),
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
        r"of $f$, next to the true ones. What to look at: mass in the wrong place, and ridges "
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
    """Return the caption of a table or figure."""
    return known.get(path.stem, escape(path.stem.replace("_", " ")) + ".")
