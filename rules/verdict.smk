# What has reproduced: each published cell, and the paper's claims about its tables.


rule verdict:
    """One word for each cell with a published value, by tests of equivalence and of difference."""
    input:
        metrics=expand(rules.aggregate.output, potential=POTENTIALS),
        published=published(),
    output:
        tex="tables/verdict_hd.tex",
        csv="tables/verdict_hd.csv",
    log:
        "logs/verdict/verdict_hd.log",
    localrule: True
    conda:
        "../envs/w2dual.yaml"
    params:
        code=lambda wc: code_of("verdict"),
        settings=lambda wc: as_json(arguments.verdict(config)),
        published=lambda wc, input: PUBLISHED,
    message:
        "Judging the published cells"
    shell:
        "python -m w2dual verdict --metrics {input.metrics} --published {params.published:q}"
        " --settings {params.settings:q} --tex {output.tex} --csv {output.csv} > {log} 2>&1"


rule claims:
    """The paper's claims about its tables, each as a count of comparisons."""
    input:
        verdict=rules.verdict.output.csv,
        baselines=rules.baselines_table.output.csv if BASELINES else [],
        published=published(),
    output:
        tex="tables/claims.tex",
        csv="tables/claims.csv",
    log:
        "logs/claims/claims.log",
    localrule: True
    conda:
        "../envs/w2dual.yaml"
    params:
        code=lambda wc: code_of("claims"),
        settings=lambda wc: as_json(arguments.verdict(config)),
        published=lambda wc, input: PUBLISHED,
    message:
        "Checking the paper's claims"
    shell:
        "python -m w2dual claims --verdict {input.verdict} --baselines {input.baselines}"
        " --published {params.published:q} --settings {params.settings:q}"
        " --tex {output.tex} --csv {output.csv} > {log} 2>&1"


rule verdict_figure:
    """The verdict as a coloured grid."""
    input:
        verdict=rules.verdict.output.csv,
    output:
        pdf="figures/verdict_hd.pdf",
        png=report(
            "figures/verdict_hd.png",
            caption="captions/verdict_figure.rst",
            category="Verdict",
            labels={"what": "picture"},
        ),
    log:
        "logs/verdict_figure/verdict_hd.log",
    localrule: True
    conda:
        "../envs/w2dual.yaml"
    params:
        code=lambda wc: code_of("verdict_figure"),
    message:
        "Drawing {output.pdf}"
    shell:
        "python -m w2dual verdict-figure --verdict {input.verdict}"
        " --pdf {output.pdf} --png {output.png} > {log} 2>&1"
