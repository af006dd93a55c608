# Metrics of cells -> one tidy file per potential -> the paper's tables.


rule aggregate:
    """One row per cell and seed; a cell that is missing or unreadable is an error."""
    input:
        metrics=lambda wc: expand(rules.train.output.metrics, cell=cells_of(wc.potential)),
    output:
        "results/metrics/hd_{potential}.csv",
    log:
        "logs/aggregate/hd_{potential}.log",
    localrule: True
    conda:
        "../envs/w2dual.yaml"
    params:
        code=lambda wc: code_of("aggregate"),
        cells=lambda wc: hashes(cells_of(wc.potential)),
    message:
        "Gathering the metrics of the {wildcards.potential} cells"
    shell:
        "python -m w2dual aggregate --metrics {input.metrics} --cells {params.cells:q}"
        " --out {output} > {log} 2>&1"


rule table:
    """One table of the paper, with the published rows next to the reproduced ones."""
    input:
        metrics=rules.aggregate.output,
        published=published(),
    output:
        tex="tables/hd_{potential}.tex",
        csv="tables/hd_{potential}.csv",
    log:
        "logs/table/hd_{potential}.log",
    localrule: True
    conda:
        "../envs/w2dual.yaml"
    params:
        code=lambda wc: code_of("table"),
        settings=lambda wc: as_json(arguments.table(config)),
        published=lambda wc, input: PUBLISHED,
    message:
        "Rendering {output.tex}"
    shell:
        "python -m w2dual table --metrics {input.metrics} --potential {wildcards.potential}"
        " --settings {params.settings:q} --published {params.published:q}"
        " --tex {output.tex} --csv {output.csv} > {log} 2>&1"


rule aggregate_baselines:
    """One row per cell of the benchmark's own methods and seed."""
    input:
        metrics=expand(rules.train.output.metrics, cell=BASELINES),
    output:
        "results/metrics/baselines.csv",
    log:
        "logs/aggregate/baselines.log",
    localrule: True
    conda:
        "../envs/w2dual.yaml"
    params:
        code=lambda wc: code_of("aggregate"),
        cells=lambda wc: hashes(BASELINES),
    message:
        "Gathering the metrics of the benchmark's own methods"
    shell:
        "python -m w2dual aggregate --metrics {input.metrics} --cells {params.cells:q}"
        " --out {output} > {log} 2>&1"


rule baselines_table:
    """The benchmark's own methods next to their published values."""
    input:
        metrics=rules.aggregate_baselines.output,
        published=published(),
    output:
        tex="tables/hd_baselines.tex",
        csv="tables/hd_baselines.csv",
    log:
        "logs/table/hd_baselines.log",
    localrule: True
    conda:
        "../envs/w2dual.yaml"
    params:
        code=lambda wc: code_of("baselines_table"),
        settings=lambda wc: as_json(arguments.baselines_table(config)),
        published=lambda wc, input: PUBLISHED,
    message:
        "Rendering {output.tex}"
    shell:
        "python -m w2dual baselines-table --metrics {input.metrics}"
        " --settings {params.settings:q} --published {params.published:q}"
        " --tex {output.tex} --csv {output.csv} > {log} 2>&1"


rule trivial_table:
    """The maps that need no training, as a table."""
    input:
        trivial=rules.trivial.output,
    output:
        "tables/trivial_maps.tex",
    log:
        "logs/trivial_table/trivial_maps.log",
    localrule: True
    conda:
        "../envs/w2dual.yaml"
    params:
        code=lambda wc: code_of("trivial_table"),
        settings=lambda wc: as_json(arguments.table(config)),
    message:
        "Rendering {output}"
    shell:
        "python -m w2dual trivial-table --trivial {input.trivial} --settings {params.settings:q}"
        " --tex {output} > {log} 2>&1"


rule aggregate_synthetic:
    """One row per cell on the plane and seed."""
    input:
        metrics=expand(rules.train.output.metrics, cell=SYNTHETIC),
    output:
        "results/metrics/synthetic.csv",
    log:
        "logs/aggregate/synthetic.log",
    localrule: True
    conda:
        "../envs/w2dual.yaml"
    params:
        code=lambda wc: code_of("aggregate", [measured.module_of("synthetic")]),
        cells=lambda wc: hashes(SYNTHETIC),
    message:
        "Gathering the metrics of the cells on the plane"
    shell:
        "python -m w2dual aggregate --kind synthetic --metrics {input.metrics}"
        " --cells {params.cells:q} --out {output} > {log} 2>&1"


rule aggregate_added:
    """One row per cell of a system beside the paper's own and seed."""
    input:
        metrics=lambda wc: expand(rules.train.output.metrics, cell=CELLS_OF[wc.added]),
    output:
        "results/metrics/{added}.csv",
    log:
        "logs/aggregate/{added}.log",
    localrule: True
    conda:
        "../envs/w2dual.yaml"
    params:
        code=lambda wc: code_of("aggregate", [measured.module_of(wc.added)]),
        cells=lambda wc: hashes(CELLS_OF[wc.added]),
        words=lambda wc, input: ADDED[wc.added].words,
    message:
        "Gathering the metrics of the {params.words}"
    shell:
        "python -m w2dual aggregate --kind {wildcards.added} --metrics {input.metrics}"
        " --cells {params.cells:q} --out {output} > {log} 2>&1"


rule synthetic_table:
    """Errors both ways of the cells on the plane, next to the floor that no map can pass."""
    input:
        metrics=rules.aggregate_synthetic.output,
    output:
        tex="tables/synthetic.tex",
        csv="tables/synthetic.csv",
    log:
        "logs/table/synthetic.log",
    localrule: True
    conda:
        "../envs/w2dual.yaml"
    params:
        code=lambda wc: code_of("synthetic_table"),
        settings=lambda wc: as_json(arguments.synthetic_table(config)),
        cells=lambda wc: as_json(list(SYNTHETIC)),
    message:
        "Rendering {output.tex}"
    shell:
        "python -m w2dual synthetic-table --metrics {input.metrics} --cells {params.cells:q}"
        " --settings {params.settings:q} --tex {output.tex} --csv {output.csv} > {log} 2>&1"
