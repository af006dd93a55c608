"""Costs of paths through a potential: what the report says of their cells."""

from __future__ import annotations

from w2dual.config.names import words
from w2dual.report.latex import escape
from w2dual.report.systems.base import Row, System
from w2dual.results import lagrangian
from w2dual.results.measured.lagrangian import MEASURED


def setting(row: Row) -> str:
    """Name the setting of a cell, for LaTeX: all settings have one pair of measures."""
    return escape(words(lagrangian.setting_of(str(row["cell"]))))


SYSTEM = System(
    kind="lagrangian",
    measured=MEASURED,
    title="Lagrangian costs",
    section="Lagrangian costs",
    introduction=(
        r"Costs $c(x,y)=\min\int_0^1 \frac12\|\dot\gamma\|^2-U(\gamma)\,dt$ over paths from $x$ "
        r"to $y$, with a potential $-U\ge0$ that keeps them out or draws them in: the settings of "
        r"the talk's last tables (Pooladian et al., UAI 2024), in the units of the published code. "
        r"A potential $g$ on the target, its c-transform $\min_y c(x,y)-g(y)$ amortized and "
        r"fine-tuned, and a network of paths. Of the published settings, what the paper says could "
        r"not be read, only its code: read there, or inferred where a caption says so."
    ),
    tables={
        "lagrangian": (
            "Marginal errors of maps of Lagrangian costs, next to the published ones (which of a "
            "run's evaluations those are is inferred, and so are the settings and the sampling of "
            "NLSB's), and what their paths cost. What to look at: the floor, which the published "
            "values do not pass; and below it what tells maps apart."
        ),
        "claims_lagrangian": (
            r"What the talk says of Lagrangian costs, checked on our rows. What to look at: "
            r"contradicted comparisons."
        ),
        "hyperparameters_lagrangian": (
            "Settings of the cells of Lagrangian costs, from the config that ran. What to look at: "
            r"values with a dagger, which are not those of config.yaml."
        ),
    },
    figures={
        "lagrangian_paths": (
            "Where maps take samples of the source, and along which paths; shades are $-U$. A row "
            "for each method, and two for a random map: one drawn path of each sample, and the "
            "mean of many. What to look at: whether paths go around the box and through the slit's "
            "opening, and whether pushed samples fill the target."
        ),
    },
    pair=setting,
    group=lambda row: "Lagrangian costs",
)
