# Everything on paper.


# Tables and figures: what is left to ask for where there is no TeX.
rule everything_but_pdf:
    input:
        # Asked for by name, so that one that was deleted comes back.
        expand(rules.train.output.metrics, cell=CELLS),
        expand("tables/{name}.{ext}", name=TABLES, ext=["tex", "csv"]),
        expand("figures/curves_{cell}.{ext}", cell=CELLS, ext=["pdf", "png"]),
    localrule: True


rule report:
    """The evaluation as one PDF: preset, budget, tables and training curves."""
    input:
        tables=expand("tables/{name}.tex", name=TABLES),
        metrics=expand(rules.aggregate.output, potential=POTENTIALS),
        figures=expand("figures/curves_{cell}.pdf", cell=CELLS),
        code=code("report"),
    output:
        pdf="evaluation.pdf",
    log:
        "logs/report/evaluation.log",
    localrule: True
    conda:
        "../envs/w2dual.yaml"
    params:
        settings=lambda wc: as_json(table_settings() | {"potentials": POTENTIALS}),
    message:
        "Setting {output.pdf}"
    shell:
        "python -m w2dual report --settings {params.settings:q} --tables {input.tables}"
        " --metrics {input.metrics} --figures {input.figures} --pdf {output.pdf} > {log} 2>&1"
