"""The subcommands of `python -m w2dual`, as data: what each is for, and which of them render.

A job is the module of its name in `w2dual.jobs`. Nothing is imported here, so that `--help` is
quick, and so that whoever runs the commands of an archive can tell which may be run.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Job:
    """A subcommand.

    Attributes:
        summary: for the help.
        writes: options of a job that makes tables or figures: each names a file that it writes. It
            reads the files that its other options name, writes no others, and starts no program.
            Such a job alone may be named by an archive that comes from anybody, so a new one
            renders only where it says so.
        computes: what it renders is computed from measures or networks, to no certain last bit.
    """

    summary: str
    writes: tuple[str, ...] = ()
    computes: bool = False

    @property
    def renders(self) -> bool:
        """Whether it makes tables or figures."""
        return bool(self.writes)

    @property
    def exact(self) -> bool:
        """Whether it makes text that follows from text: the same bytes on any machine."""
        return self.renders and set(self.writes) <= TEXT and not self.computes


TEXT = frozenset({"--csv", "--html", "--out", "--tex"})
TABLE, PICTURE = ("--tex", "--csv"), ("--pdf", "--png")


JOBS = {
    "cells": Job("list the cells of a config, or print the record of one"),
    "estimate": Job("predict what a config's cells cost, before they start"),
    "simulate": Job("simulate a config's cells on a cluster"),
    "time": Job("time training on the device at hand, for estimate"),
    "doctor": Job("check that the workflow can run on this cluster"),
    "check": Job("check a module of your own: a solver, a potential, a loss or a pair"),
    "prepare": Job("make one pair of measures, with its ground truth"),
    "trivial": Job(
        "evaluate maps that need no training",
        writes=("--out",),
        computes=True,
    ),
    "train": Job("train all seeds of one cell"),
    "status": Job("show how far cells are, running and finished"),
    "push": Job("map your own points by the ground truth or a trained cell"),
    "recolour": Job("move the colours of two images of your own to each other's"),
    "conjugation-study": Job("follow a trained cell's conjugations"),
    "line-search": Job("time line searches on trained cells"),
    "line-search-tables": Job("render the results of line-search", writes=TABLE),
    "meta-sinkhorn": Job("compare starts of solvers of entropic transport"),
    "meta-sinkhorn-table": Job("render the comparison of starts, or its claims", writes=TABLE),
    "meta-sinkhorn-figure": Job("draw the comparison of starts", writes=PICTURE),
    "conjugation-figure": Job("draw the studies of conjugation", writes=PICTURE),
    "color-study": Job("fine-tune a trained cell's predictions for held-out pairs of images"),
    "aggregate": Job("gather the metrics of cells into one tidy file", writes=("--out",)),
    "table": Job("render one table of the HD evaluation", writes=TABLE),
    "lagrangian-table": Job("render the table of Lagrangian costs", writes=TABLE),
    "celeba64-table": Job("render a table of the CelebA64 cells", writes=TABLE),
    "baselines-table": Job("render the benchmark's own methods beside its values", writes=TABLE),
    "score-metrics": Job("score metrics that others have learned, by their weights"),
    "metric-recovery-table": Job("render the table of recovered metrics", writes=TABLE),
    "color-table": Job("render a table of colour transport", writes=TABLE),
    "trivial-table": Job("render the table of the maps that need no training", writes=("--tex",)),
    "synthetic-table": Job("render the table of the cells on the plane", writes=TABLE),
    "cost-table": Job("render a table of run times or conjugations", writes=TABLE),
    "hyperparameters": Job("render a table of the settings that ran", writes=TABLE),
    "table-page": Job("set a tidy table as a page of the report", writes=("--html",)),
    "verdict": Job("judge each published cell: reproduced, better, worse, ...", writes=TABLE),
    "claims": Job("check the paper's claims about its tables", writes=TABLE),
    "verdict-figure": Job("draw the verdict", writes=PICTURE),
    "figure": Job("draw a figure of cells on the plane or of CelebA64", writes=(*PICTURE, "--gif")),
    "color-figure": Job("draw images whose colours are moved", writes=PICTURE),
    "accuracy-figure": Job("draw accuracy against cost, dimension, or by seed", writes=PICTURE),
    "curves": Job("draw the training curves of one cell", writes=PICTURE),
    "report": Job("typeset evaluation.pdf"),
    "bundle": Job("make the archive for reviewers"),
    "verify": Job("check an archive: hashes, crate, tables, a sample of cells"),
    "unpack": Job("check that an archive is safe, and unpack it"),
    "rebuild": Job("make an unpacked archive's tables and figures again"),
    "retrain": Job("train one cell of an unpacked archive again, and compare"),
}
