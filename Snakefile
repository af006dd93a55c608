# The HD evaluation of "On amortizing convex conjugates for optimal transport", as one DAG:
# config -> cells -> measures -> train -> metrics -> tables, figures -> evaluation.pdf
#
#   snakemake --cores 2 --configfile presets/smoke.yaml      the DAG at a small budget, in runs/smoke/
#   snakemake --profile slurm all                            the paper, on a cluster
#   snakemake --profile slurm tables/hd_icnn.tex             one table of it

import os
import sys

from snakemake.utils import min_version

min_version("9.27")
ROOT = workflow.basedir


configfile: os.path.join(ROOT, "config.yaml")


# The workflow runs from a checkout, whichever environment has Snakemake.
sys.path.insert(0, os.path.join(ROOT, "src"))

from w2dual.config import files as config_files
from w2dual.config.reader import output_folder, validate
from w2dual.records import InputError

try:
    config_files.check(workflow, sys.argv[1:], os.environ)  # by what is written in them
    validate(config)
except InputError as error:
    raise WorkflowError(str(error))


# `paper` fills the root; any other preset fills runs/NAME, so none overwrites another's files.
workdir: os.path.join(ROOT, output_folder(config))


report: "rules/captions/workflow.rst"


include: "rules/common.smk"
include: "rules/inputs.smk"
include: "rules/studies.smk"
include: "rules/measures.smk"
include: "rules/train.smk"
include: "rules/tables.smk"
include: "rules/celeba64.smk"


for section in ADDITIONS:  # systems beside the paper's own, a file each

    include: f"rules/{section}.smk"


include: "rules/verdict.smk"
include: "rules/figures.smk"
include: "rules/conjugation.smk"
include: "rules/analysis.smk"
include: "rules/pages.smk"
include: "rules/report.smk"
include: "rules/bundle_plan.smk"
include: "rules/bundle.smk"


rule all:
    default_target: True
    input:
        rules.everything_but_pdf.input,
        rules.report.output.pdf,
    localrule: True
