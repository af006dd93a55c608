"""Colour transport by Meta OT: what the report says of its cells."""

from __future__ import annotations

import pandas as pd

from w2dual.report.systems.base import System
from w2dual.report.tables import meta_color as table
from w2dual.results.measured.meta_color import MEASURED


def facts(part: pd.DataFrame) -> list[tuple[str, str]]:
    """Say where the images are from."""
    found = [
        f"a stand-in, {table.STAND_INS[source]}" if source in table.STAND_INS else "the user's own"
        for source in sources(part)
    ]
    return [("Images there", ", ".join(found))]


def warnings(part: pd.DataFrame) -> list[str]:
    """Name the images that are a stand-in."""
    return [line for source in sources(part) for line in table.stand_in(source)]


def sources(part: pd.DataFrame) -> list[str]:
    """Return where the images are from, each once."""
    return list(dict.fromkeys(map(str, part["measures_source"])))


SYSTEM = System(
    kind="meta_color",
    measured=MEASURED,
    title="Colour transport",
    section="Meta OT: colour transport",
    introduction=(
        r"Optimal transport between the colours of two images, pixels of the cube $[0,1]^3$. A "
        r"hyper-network sees two images and predicts the potentials $\psi$ and $\bar\psi$ of the "
        r"one's colours and the other's, input-convex networks of 653 parameters (Amos et al., "
        r"Meta Optimal Transport, ICML 2023), which are then fine-tuned on that pair alone."
    ),
    tables={
        "meta_ot_color": (
            "Colour transport on held-out pairs of images, whose ordered pairs training never "
            "saw. What to look at: whether predictions beat the Gaussian map, which needs no "
            "network and which the published table lacks; and how many updates of W2GN a "
            "prediction is worth."
        ),
        "claims_meta_ot_color": (
            "What the published table and figure of colour transport show, pair by pair. What to "
            "look at: intervals that hold 0, and the Gaussian map's."
        ),
        "hyperparameters_meta_color": (
            "Settings of the cells of colour transport, from the config that ran. What to look at: "
            r"values with a dagger, which are not the published ones."
        ),
    },
    figures={
        "meta_color": (
            r"Images $\alpha$ and $\beta$ of held-out pairs, $T_\#\alpha$, which has the layout of "
            r"$\alpha$ and should have the colours of $\beta$, and $T^{-1}_\#\beta$, the other way "
            "round; by W2GN after all its updates, by the prediction alone, and by the Gaussian "
            "map. What to look at: colours that one image lacks and the other has; and where rows "
            "differ."
        ),
    },
    facts=facts,
    warnings=warnings,
)
