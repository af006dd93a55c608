"""Names of the config in words for readers, the same in tables, figures and the report.

A name that is not listed, such as a new method's, is shown with spaces for underscores.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from w2dual.config.cells import DUAL, method_kind

WORDS = {
    "none": "None",
    "own": "Own networks",
    "objective": "Objective",
    "cycle": "Cycle",
    "regression": "Regression",
    "lbfgs": "L-BFGS",
    "lbfgs_high_precision": "L-BFGS (high precision)",
    "adam": "Adam",
    "icnn": "ICNN",
    "mlp": "MLP",
    "icnn_leaky": "ICNN, leaky ReLU",
    "mlp_leaky": "MLP, leaky ReLU",
    "mlp_image": "MLP, leaky ReLU",
    "icnn_sharp": "ICNN, sharp softplus",
    "icnn_smooth": "ICNN, softplus",
    "conv": "ConvNet",
    "conv_small": "small ConvNet",
    "celeba64_early": "CelebA64, early",
    "celeba64_mid": "CelebA64, mid",
    "celeba64_late": "CelebA64, late",
    "gauss8": "8 Gaussians",
    "gauss_sq": "Gaussians on a square",
    "s_curve": "S curve",
    "swiss": "swiss roll",
    "dense_icnn": "DenseICNN",
    "dense_free": "DenseICNN, not clamped",
    "w2": "W2",
    "w2_r": "W2:R",
    "mm": "MM",
    "mm_r": "MM:R",
    "mmv1": "MMv1",
    "mmv2": "MMv2",
    "mmv2_r": "MMv2:R",
    "mm_b": "MM-B",
    "ls": "LS",
    "qc": "QC",
    "enot": "ENOT",
    "enot_table": "ENOT, settings of its table",
    "enot_widths": "ENOT, the paper's widths",
    "enot_pairs": "ENOT, given the true pairs",
    "enot_pairs_widths": "ENOT, the paper's widths, given the true pairs",
    "ours": "Ours",
    "mlp_linear": "MLP, linear output",
    "conv_icnn": "ConvICNN",
    "conv_icnn_small": "small ConvICNN",
    "resnet": "ResNet",
    "resnet_small": "small ResNet",
    "w2_images": "W2",
    "mm_images": "MM",
    "mm_r_images": "MM:R",
    "maf_moon": "moon",
    "plain": "MLP, plain",
    "plain_elu": "MLP, plain, ELU",
    "metric_recovery": "Metric recovery",
    "metric_recovery_short": "Metric recovery, short paths",
    "scarvelis": "Scarvelis and Solomon, trained here",
    "circle": "circle",
    "x_paths": "X paths",
    "nlot": "NLOT",
    "nlot_newton": "NLOT, exact paths",
    "nlsb": "NLSB",
    "nlsb_stochastic": "NLSB (stochastic)",
    "nlsb_expected": "NLSB (expected)",
    "lbfgs_ctransform": "L-BFGS",
    "lbfgs_ctransform_ours": "L-BFGS",
    "mnist": "MNIST",
    "zeros": "zeros",
    "gaussian": "Gaussian",
    "meta": "Meta OT",
    "meta_mask": "Meta OT, masked",
    "meta_gaussian": "Meta OT, Gaussian residual",
    "meta_half": "Meta OT, after an iteration",
    "meta_regression": "Meta OT, regression",
    "sinkhorn": "Sinkhorn",
    "relaxed": "over-relaxed Sinkhorn",
    "newton": "semi-dual Newton",
    "annealed_newton": "semi-dual Newton, annealed",
    "meta_resnet18": "Meta OT, ResNet-18",
    "meta_histogram": "Meta OT, histogram",
    "meta_residual": "Meta OT, histogram + Gaussian map",
    "palettes_histogram": "palettes (histograms)",
    "palettes_image": "palettes (images)",
}


def words(name: str) -> str:
    """Return a config name as readers know it; a new method's name with spaces for underscores.

    Names with a dash between them, as of a method and its loss, have a comma there.
    """
    return ", ".join(WORDS.get(part, part.replace("_", " ")) for part in name.split("-"))


def own_method_words(method: str, solver: str) -> str:
    """Name one of the benchmark's own methods: by its name, and by a solver if it takes one."""
    return words(method if solver == "none" else f"{method}-{solver}")


def potential_words(name: str) -> str:
    """Name the potential of a cell for running text, as in "ICNN potential"."""
    return words(name) if name == "own" else f"{words(name)} potential"


def method_words(amortization: str, solver: str) -> str:
    """Name a method for running text, as in "Cycle + L-BFGS" or "Cycle, no solver"."""
    loss = "No amortization" if amortization == "none" else words(amortization)
    return f"{loss}, no solver" if solver == "none" else f"{loss} + {words(solver)}"


def cell_method_words(cell: Mapping[str, Any]) -> str:
    """Name the method of a cell, given as the JSON of it: "Cycle + L-BFGS", or "W2".

    Only of the dual's methods it is worth a word that they have no solver; others take none.
    """
    name = method_words if method_kind(cell["settings"]) == DUAL else own_method_words
    return name(cell["amortization"], cell["solver"])


_MADE_HERE = {
    "generated": "measures generated here, not the published ones",
    "packaged": "stand-in data of a package, not the published ones",
    "other": "stand-in data of a folder, not the published ones",
    "drawn": "images drawn here",
}


def made_here(sources: Iterable[str | None]) -> str:
    """Say which measures are not the published ones, by their sources; empty where all are.

    Args:
        sources: `measures.source` of metrics, and `source` of a prepared pair.
    """
    found = set(sources)
    return "; ".join(said for source, said in _MADE_HERE.items() if source in found)
