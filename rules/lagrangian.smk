# Costs of paths: their table, and what it says of the talk's claims; none of it for a preset without.

from w2dual.config.systems import lagrangian


rule lagrangian_table:
    """Marginal errors next to the published ones and to their floor, and what paths cost."""
    input:
        metrics=metrics_of("lagrangian"),
        published=published(),
    output:
        tex="tables/{lagrangian}.tex",
        csv="tables/{lagrangian}.csv",
    log:
        "logs/table/{lagrangian}.log",
    wildcard_constraints:
        lagrangian=tables_of("lagrangian"),
    localrule: True
    conda:
        "../envs/w2dual.yaml"
    params:
        code=lambda wc: code_of("lagrangian_table"),
        settings=lambda wc: as_json(lagrangian.table(config)),
        published=lambda wc, input: PUBLISHED,
    message:
        "Rendering {output.tex}"
    shell:
        "python -m w2dual lagrangian-table {wildcards.lagrangian} --metrics {input.metrics}"
        " --published {params.published:q} --settings {params.settings:q}"
        " --tex {output.tex} --csv {output.csv} > {log} 2>&1"
