"""Write the plan of the archive, which Snakemake hands over as a parameter, to its file."""

from pathlib import Path

job = snakemake  # noqa: F821 # defined by Snakemake
Path(job.output[0]).write_text(f"{job.params.plan}\n", encoding="utf-8")
