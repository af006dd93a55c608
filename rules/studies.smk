# Which trained cells the studies of conjugation take, and what is drawn in all.

STUDIED = choice.studied(config)
LINE_SEARCH_CELL = choice.line_search_cell(config)
# The solvers that the studies run, whatever the cell trained with.
STUDY_SOLVERS = {
    name: f"conjugate.{config['solvers'][config['conjugation'][name]]['kind']}"
    for name in ("lbfgs", "adam")
}
STUDIES = {f"hd_{potential}": cells for potential, cells in STUDIED.items()}
if cells := choice.studied_images(config):
    STUDIES["celeba64"] = cells
STUDY_FIGURES = [f"conjugation_{study}" for study in STUDIES]
# Each study of a line search, and the cells that it takes.
LINE_SEARCHES = {}
if STUDIED:
    LINE_SEARCHES = {
        "lbfgs_line_search": ("line-search", [LINE_SEARCH_CELL]),
        "wolfe_vs_armijo": ("wolfe-vs-armijo", sum(STUDIED.values(), [])),
    }
TABLES += LINE_SEARCHES
# Figures that are drawn from tables.
SUMMARIES = ["verdict_hd"]
# The report's figures, but for training curves.
DRAWN = [*SUMMARIES, *ACCURACY_FIGURES, *STUDY_FIGURES, *FIGURES]
DRAWN += [name for adds in ADDED.values() for name in adds.drawn(config)]


wildcard_constraints:
    study="|".join(map(re.escape, STUDIES)) or "^$",
    studied="|".join(re.escape(cell.name) for cells in STUDIES.values() for cell in cells) or "^$",
    line_search="|".join(map(re.escape, LINE_SEARCHES)) or "^$",


def all_cores():
    """As many threads as there are cores for jobs, so that a job runs alone on this machine.

    On a cluster a job has its cores to itself, as many as it asks for: those of a training job. There
    this is evaluated once more within the job, where Snakemake's `--cores` are the node's. A preset
    whose times mean nothing does without.
    """
    cores = workflow.resource_settings.cores
    alone = config["resources"]["timed_alone"] and isinstance(cores, int)
    if workflow.remote_exec or not alone:
        return config["resources"]["cpus"]
    return max(cores, config["resources"]["cpus"])


def line_search_files(name, pattern):
    """One file of each cell that a study of line searches takes."""
    return [pattern.format(cell=cell.name, pair=cell.pair) for cell in LINE_SEARCHES[name][1]]
