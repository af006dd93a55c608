"""The job `report`: typeset evaluation.pdf."""

from __future__ import annotations

import argparse
from pathlib import Path

from w2dual.records import json_argument
from w2dual.report.document import Files, write
from w2dual.report.facts import ReportSettings
from w2dual.report.systems import BY_KIND


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the job's arguments."""
    parser.add_argument("--settings", required=True, help="preset, grid and budget: JSON or a file")
    parser.add_argument(
        "--tables", type=Path, nargs="+", required=True, help=".tex tables, in order"
    )
    parser.add_argument(
        "--metrics", type=Path, nargs="+", required=True, help="tidy metrics of the HD cells"
    )
    parser.add_argument(
        "--synthetic", type=Path, nargs="+", required=True, help="those of the cells on the plane"
    )
    parser.add_argument(
        "--images", type=Path, nargs="*", default=[], help="those of the CelebA64 cells, if any"
    )
    parser.add_argument(
        "--baselines",
        type=Path,
        nargs="*",
        default=[],
        help="those of the benchmark's own methods, if any",
    )
    for kind, system in BY_KIND.items():
        parser.add_argument(
            f"--{kind.replace('_', '-')}",
            type=Path,
            nargs="*",
            default=[],
            help=f"those of the cells of the system `{system.title}`, if any",
        )
    parser.add_argument(
        "--curves", type=Path, nargs="+", required=True, help="curves_CELL.pdf of all cells"
    )
    parser.add_argument(
        "--figures", type=Path, nargs="+", required=True, help="all other figures, in order"
    )
    parser.add_argument("--verdict", type=Path, required=True, help=".csv of the verdict")
    parser.add_argument("--claims", type=Path, required=True, help=".csv of the claims")
    parser.add_argument("--pdf", type=Path, required=True, help="report to write")
    parser.add_argument("--tex", type=Path, help="keep the document's LaTeX here too")


def main(args: argparse.Namespace) -> None:
    """Run the job."""
    files = Files(
        tables=args.tables,
        metrics=args.metrics,
        synthetic=args.synthetic,
        images=args.images,
        baselines=args.baselines,
        systems={kind: getattr(args, kind) for kind in BY_KIND},
        curves=args.curves,
        figures=args.figures,
        verdict=args.verdict,
        claims=args.claims,
    )
    write(ReportSettings.from_json(json_argument(args.settings)), files, args.pdf, args.tex)
