# What goes into the archive for reviewers, and the commands that made it.

import glob
import shlex

from snakemake.io import get_flag_value
from snakemake.utils import format as format_command
from w2dual.subcommands import JOBS

# The jobs whose tables the archive makes again when it is verified, and what they load by name.
RENDERING = [f"jobs.{name.replace('-', '_')}" for name, job in JOBS.items() if job.exact]
RENDERING += sorted(set(MEASURED.values()))


def bundled():
    """Outputs that go into the archive; it also holds the source and the logs."""
    return [
        *rules.everything_but_pdf.input,
        *expand(rules.train.output, cell=CELLS),
        # Not the generator that pairs of images share: each of them holds it whole.
        *expand(rules.prepare.output, pair=sorted({cell.pair for cell in CELLS.values()})),
        *expand(rules.aggregate.output, potential=POTENTIALS),
        *(rules.aggregate_baselines.output if BASELINES else []),
        *rules.aggregate_synthetic.output,
        *(rules.aggregate_celeba64.output if IMAGES else []),
        *(rules.aggregate_celeba64_baselines.output if IMAGE_BASELINES else []),
        *metrics_of(*ADDED),
        *[name for adds in ADDED.values() for name in adds.studies(config)],
        *expand(
            rules.conjugation_study.output,
            studied=[cell.name for cells in STUDIES.values() for cell in cells],
        ),
        *expand(rules.line_search.output, line_search=LINE_SEARCHES),
        rules.report.output.pdf,
    ]


def optional_files():
    """What Snakemake makes besides outputs: benchmarks, and a report if there is one."""
    found = glob.glob("results/benchmarks/**/*.tsv", recursive=True)
    return sorted(found + glob.glob("report.html"))


def rendering_steps(kept):
    """The commands of the jobs that made tables and figures, and what those are made from."""
    wanted = set(map(str, kept))
    package = named("src")
    found = []
    for job in workflow.dag.jobs:
        outputs = [str(name) for name in job.output]
        rendered = ("tables/", "figures/", "results/metrics/")
        if wanted & set(outputs) and all(name.startswith(rendered) for name in outputs):
            # In the archive the source is where the config says, whichever disk the outputs are on.
            names = {str(name): in_archive(name) for name in job.input} | {
                PUBLISHED: named(os.path.join("tables", "published"))
            }
            inputs = [in_archive(name) for name in job.input]
            inputs = [name for name in inputs if not name.startswith(package)]
            # Not job.shellcmd, which asks for the job's number: it has none yet.
            command = format_command(
                job.rule.shellcmd,
                **{name: getattr(job, name) for name in ("input", "output", "params", "log")},
                wildcards=job.wildcards,
                threads=1,
            )
            command = shlex.join(names.get(word, word) for word in shlex.split(command))
            step = {"rule": job.rule.name, "command": command}
            found.append(step | {"inputs": inputs, "outputs": outputs})
    return sorted(found, key=lambda step: (step["rule"], step["outputs"]))


def in_archive(name):
    """An input's path in the archive, from the folder of outputs."""
    recorded = get_flag_value(name, "sourcecache_entry")
    return recorded.rpartition(" ")[0] if recorded else os.path.normpath(name)


def bundle_plan(kept):
    """What the job needs to know, as JSON; the config in its own order, which tables have."""
    return json.dumps(
        {
            "config": config,
            "files": sorted({str(name) for name in kept} | set(optional_files())),
            "steps": rendering_steps(kept),
            "logs": [
                name.regex().pattern
                for rule in workflow.rules
                for name in rule.log
                if rule.name not in ("bundle", "bundle_plan")
            ],
        }
    )
