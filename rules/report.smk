# Everything on paper.


# Tables and figures: what is left to ask for where there is no TeX.
rule everything_but_pdf:
    input:
        # Asked for by name, so that one that was deleted comes back.
        expand(rules.train.output.metrics, cell=CELLS),
        expand("tables/{name}.{ext}", name=TABLES, ext=["tex", "csv", "html"]),
        expand("figures/curves_{cell}.{ext}", cell=CURVED, ext=["pdf", "png"]),
        expand("figures/{figure}.{ext}", figure=DRAWN, ext=["pdf", "png"]),
        expand("figures/{figure}.gif", figure=ANIMATIONS),
    localrule: True


rule report:
    """The evaluation as one PDF: preset, budget, tables, the plane and training curves."""
    input:
        tables=expand("tables/{name}.tex", name=TABLES),
        metrics=expand(rules.aggregate.output, potential=POTENTIALS),
        baselines=[
            *(rules.aggregate_baselines.output if BASELINES else []),
            *(rules.aggregate_celeba64_baselines.output if IMAGE_BASELINES else []),
        ],
        synthetic=rules.aggregate_synthetic.output,
        celeba64=rules.aggregate_celeba64.output if IMAGES else [],
        added=metrics_of(*ADDED),
        verdict="tables/verdict_hd.csv",
        claims="tables/claims.csv",
        curves=expand("figures/curves_{cell}.pdf", cell=CURVED),
        figures=expand("figures/{figure}.pdf", figure=DRAWN),
    output:
        pdf=report(
            "evaluation.pdf",
            caption="captions/evaluation.rst",
            category="Evaluation",
            labels={"what": "everything as PDF"},
        ),
    log:
        "logs/report/evaluation.log",
    localrule: True
    conda:
        "../envs/w2dual.yaml"
    params:
        code=lambda wc: code_of("report"),
        settings=lambda wc: as_json(arguments.report(config, SYNTHETIC)),
        # An option of each system.
        added=lambda wc, input: [
            word
            for name, file in zip(ADDED, input.added)
            for word in (f"--{name.replace('_', '-')}", file)
        ],
    message:
        "Setting {output.pdf}"
    shell:
        "python -m w2dual report --settings {params.settings:q} --tables {input.tables}"
        " --verdict {input.verdict} --claims {input.claims}"
        " --metrics {input.metrics} --synthetic {input.synthetic} --images {input.celeba64}"
        " --baselines {input.baselines}"
        " {params.added}"
        " --curves {input.curves} --figures {input.figures} --pdf {output.pdf} > {log} 2>&1"
