# How conjugates are found on trained cells, and what line searches cost there.


rule conjugation_study:
    """The way down of L-BFGS and Adam on one cell, cold and warm, and statistics of many points."""
    input:
        params="results/train/{studied}/params.safetensors",
        metrics="results/train/{studied}/metrics.json",
        measures=lambda wc: f"results/measures/{CELLS[wc.studied].pair}.safetensors",
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
        mem_mb=lambda wc, attempt: REQUESTS.training_mb(attempt),
        runtime=lambda wc, attempt: REQUESTS.light_min(attempt),
    params:
        code=lambda wc: code_of(
            "conjugation_study", [*STUDY_SOLVERS.values(), *kinds_of([wc.studied])]
        ),
        settings=lambda wc: as_json(
            arguments.conjugation_study(config, "celeba64" if wc.studied in IMAGES else "hd")
        ),
    message:
        "Following the conjugations of {wildcards.studied}"
    shell:
        "python -m w2dual conjugation-study --params {input.params} --metrics {input.metrics}"
        " --measures {input.measures} --settings {params.settings:q} --threads {threads}"
        " --out {output} > {log} 2>&1"


rule conjugation_figure:
    """The studies of one potential, dimensions or pairs of images side by side."""
    input:
        studies=lambda wc: expand(
            rules.conjugation_study.output, studied=[c.name for c in STUDIES[wc.study]]
        ),
        histories=lambda wc: expand(
            rules.train.output.history, cell=[c.name for c in STUDIES[wc.study]]
        ),
    output:
        pdf="figures/conjugation_{study}.pdf",
        png=report(
            "figures/conjugation_{study}.png",
            caption="captions/conjugation.rst",
            category="Figures of the benchmark",
            labels={"figure": "conjugation_{study}"},
        ),
    log:
        "logs/conjugation_figure/{study}.log",
    localrule: True
    conda:
        "../envs/w2dual.yaml"
    params:
        code=lambda wc: code_of("conjugation_figure"),
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
        mem_mb=lambda wc, attempt: REQUESTS.training_mb(attempt),
        runtime=lambda wc, attempt: REQUESTS.light_min(attempt, times=2),
    params:
        code=lambda wc: code_of(
            "line_search",
            [
                STUDY_SOLVERS["lbfgs"],
                *kinds_of([c.name for c in LINE_SEARCHES[wc.line_search][1]]),
            ],
        ),
        study=lambda wc: LINE_SEARCHES[wc.line_search][0],
        settings=lambda wc: as_json(arguments.line_search(config, wc.line_search)),
        # Others are kept from running, but what is timed has the threads of a training job.
        threads=lambda wc, input: config["resources"]["cpus"],
    message:
        "Timing line searches: {wildcards.line_search}, holding {threads} core(s)"
    shell:
        "python -m w2dual line-search --study {params.study} --params {input.params}"
        " --metrics {input.metrics} --measures {input.measures} --settings {params.settings:q}"
        " --threads {params.threads} --out {output} > {log} 2>&1"


rule line_search_table:
    """Times of line searches, as a table."""
    input:
        record=rules.line_search.output,
    output:
        tex="tables/{line_search}.tex",
        csv="tables/{line_search}.csv",
    log:
        "logs/line_search_table/{line_search}.log",
    localrule: True
    conda:
        "../envs/w2dual.yaml"
    params:
        code=lambda wc: code_of("line_search_tables"),
        study=lambda wc: LINE_SEARCHES[wc.line_search][0],
    message:
        "Rendering {output.tex}"
    shell:
        "python -m w2dual line-search-tables --study {params.study} --record {input.record}"
        " --tex {output.tex} --csv {output.csv} > {log} 2>&1"
