# How conjugates are found on trained cells, and what line searches cost there.

from w2dual.studies import choice

STUDIED = choice.studied(config)
LINE_SEARCH_CELL = choice.line_search_cell(config)
STUDY_FIGURES = [f"conjugation_hd_{potential}" for potential in STUDIED]
# Each study of a line search, and the cells that it takes.
LINE_SEARCHES = {}
if STUDIED:
    LINE_SEARCHES = {
        "lbfgs_line_search": ("line-search", [LINE_SEARCH_CELL]),
        "wolfe_vs_armijo": ("wolfe-vs-armijo", sum(STUDIED.values(), [])),
    }
TABLES += LINE_SEARCHES

_CONJUGATES = [
    "plots/trained.py",
    "dual.py",
    "backend.py",
    "rng.py",
    "conjugate/*.py",
    "potentials/*.py",
    "measures/*.py",
    "!measures/benchmark_files.py",
    "!measures/generated.py",
    "!measures/prepare.py",
    "!measures/torchfile.py",
    "!measures/trivial.py",
]
CODE |= {
    "conjugation_study": ["studies/conjugation.py", "studies/trace.py", *_CONJUGATES],
    "line_search": ["studies/line_search.py", "studies/libraries.py", "timing.py", *_CONJUGATES],
    "line_search_table": ["studies/line_search_tables.py", "latex.py", "names.py"],
    "conjugation_figure": [
        "plots/conjugation.py",
        "plots/curves.py",
        "plots/style.py",
        "studies/conjugation.py",
        "names.py",
    ],
}


wildcard_constraints:
    studied="|".join(re.escape(cell.name) for cells in STUDIED.values() for cell in cells) or "^$",
    line_search="|".join(map(re.escape, LINE_SEARCHES)) or "^$",


def all_cores():
    """As many threads as the machine that plans has cores for jobs, so that a job runs alone."""
    cores = workflow.resource_settings.cores
    return max(cores if isinstance(cores, int) else 1, config["resources"]["cpus"])


def conjugation_settings():
    """What the study of a cell needs."""
    study = config["conjugation"]
    return {
        "lbfgs": config["solvers"][study["lbfgs"]],
        "adam": config["solvers"][study["adam"]],
        "points": study["points"],
        "samples": config["hd"]["evaluation"]["samples"],
    }


def line_search_settings(name):
    """What a study of line searches needs; the keys of the config say how it goes."""
    study = config["conjugation"]
    settings = study["line_search" if name == "lbfgs_line_search" else name]
    chosen = {key: settings[key] for key in settings if key not in ("dimension", "potential")}
    return chosen | study["timing"] | {"lbfgs": config["solvers"][study["lbfgs"]]}


def line_search_files(name, pattern):
    """One file of each cell that a study of line searches takes."""
    return [pattern.format(cell=cell.name, pair=cell.pair) for cell in LINE_SEARCHES[name][1]]


rule conjugation_study:
    """The way down of L-BFGS and Adam on one cell, cold and warm, and statistics of many points."""
    input:
        params="results/train/{studied}/params.safetensors",
        metrics="results/train/{studied}/metrics.json",
        measures=lambda wc: f"results/measures/{CELLS[wc.studied].pair}.safetensors",
        code=code("conjugation_study"),
    output:
        "results/conjugation/{studied}.safetensors",
    log:
        "logs/conjugation_study/{studied}.log",
    benchmark:
        "results/benchmarks/conjugation_study/{studied}.tsv"
    conda:
        "../envs/w2dual.yaml"
    threads: config["resources"]["cpus"]
    resources:
        gpu=config["resources"]["gpus"],
        mem_mb=lambda wc, attempt: attempt * config["resources"]["memory_mb"],
        runtime=lambda wc, attempt: attempt * 30,
    params:
        settings=lambda wc: as_json(conjugation_settings()),
    message:
        "Following the conjugations of {wildcards.studied}"
    shell:
        "python -m w2dual conjugation-study --params {input.params} --metrics {input.metrics}"
        " --measures {input.measures} --settings {params.settings:q} --threads {threads}"
        " --out {output} > {log} 2>&1"


rule conjugation_figure:
    """The studies of one potential, dimensions side by side."""
    input:
        studies=lambda wc: expand(
            rules.conjugation_study.output, studied=[c.name for c in STUDIED[wc.potential]]
        ),
        histories=lambda wc: expand(
            rules.train.output.history, cell=[c.name for c in STUDIED[wc.potential]]
        ),
        code=code("conjugation_figure"),
    output:
        pdf="figures/conjugation_hd_{potential}.pdf",
        png="figures/conjugation_hd_{potential}.png",
    log:
        "logs/conjugation_figure/{potential}.log",
    localrule: True
    conda:
        "../envs/w2dual.yaml"
    message:
        "Drawing {output.pdf}"
    shell:
        "python -m w2dual conjugation-figure --studies {input.studies}"
        " --histories {input.histories} --pdf {output.pdf} --png {output.png} > {log} 2>&1"


rule line_search:
    """Times of line searches on trained cells; alone on the machine, so that they are times."""
    input:
        params=lambda wc: line_search_files(
            wc.line_search, "results/train/{cell}/params.safetensors"
        ),
        metrics=lambda wc: line_search_files(wc.line_search, "results/train/{cell}/metrics.json"),
        measures=lambda wc: line_search_files(wc.line_search, "results/measures/{pair}.safetensors"),
        code=code("line_search"),
    output:
        "results/conjugation/{line_search}.json",
    log:
        "logs/line_search/{line_search}.log",
    benchmark:
        "results/benchmarks/line_search/{line_search}.tsv"
    conda:
        "../envs/w2dual.yaml"
    threads: all_cores()
    resources:
        gpu=config["resources"]["gpus"],
        mem_mb=lambda wc, attempt: attempt * config["resources"]["memory_mb"],
        runtime=lambda wc, attempt: attempt * 60,
    params:
        study=lambda wc: LINE_SEARCHES[wc.line_search][0],
        settings=lambda wc: as_json(line_search_settings(wc.line_search)),
        # Others are kept from running, but what is timed has the threads of a training job.
        threads=lambda wc, input: config["resources"]["cpus"],
    message:
        "Timing line searches: {wildcards.line_search}"
    shell:
        "python -m w2dual line-search --study {params.study} --params {input.params}"
        " --metrics {input.metrics} --measures {input.measures} --settings {params.settings:q}"
        " --threads {params.threads} --out {output} > {log} 2>&1"


rule line_search_table:
    """Times of line searches, as a table."""
    input:
        record=rules.line_search.output,
        code=code("line_search_table"),
    output:
        tex="tables/{line_search}.tex",
        csv="tables/{line_search}.csv",
    log:
        "logs/line_search_table/{line_search}.log",
    localrule: True
    conda:
        "../envs/w2dual.yaml"
    params:
        study=lambda wc: LINE_SEARCHES[wc.line_search][0],
    message:
        "Rendering {output.tex}"
    shell:
        "python -m w2dual line-search-tables --study {params.study} --record {input.record}"
        " --tex {output.tex} --csv {output.csv} > {log} 2>&1"
