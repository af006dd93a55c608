# Costs of paths: their table, and what it says of the talk's claims; none of it for a preset without.


rule aggregate_lagrangian:
    """One row per cell of Lagrangian costs and seed."""
    input:
        metrics=expand(rules.train.output.metrics, cell=LAGRANGIAN),
    output:
        "results/metrics/lagrangian.csv",
    log:
        "logs/aggregate/lagrangian.log",
    localrule: True
    conda:
        "../envs/w2dual.yaml"
    params:
        code=lambda wc: code_of("aggregate"),
        cells=lambda wc: hashes(LAGRANGIAN),
    message:
        "Gathering the metrics of the cells of Lagrangian costs"
    shell:
        "python -m w2dual aggregate --kind lagrangian --metrics {input.metrics}"
        " --cells {params.cells:q} --out {output} > {log} 2>&1"


rule lagrangian_table:
    """Marginal errors next to the published ones and to their floor, and what paths cost."""
    input:
        metrics=rules.aggregate_lagrangian.output,
        published=published(),
    output:
        tex="tables/{lagrangian}.tex",
        csv="tables/{lagrangian}.csv",
    log:
        "logs/table/{lagrangian}.log",
    wildcard_constraints:
        lagrangian="|".join(LAGRANGIAN_TABLES) or "^$",
    localrule: True
    conda:
        "../envs/w2dual.yaml"
    params:
        code=lambda wc: code_of("lagrangian_table"),
        settings=lambda wc: as_json(arguments.lagrangian_table(config)),
        published=lambda wc, input: PUBLISHED,
    message:
        "Rendering {output.tex}"
    shell:
        "python -m w2dual lagrangian-table {wildcards.lagrangian} --metrics {input.metrics}"
        " --published {params.published:q} --settings {params.settings:q}"
        " --tex {output.tex} --csv {output.csv} > {log} 2>&1"
