# Training curves, one figure per cell; and what the cells on the plane have learned.


rule curves:
    """Errors and dual objective of one cell against training steps."""
    input:
        metrics=rules.train.output.metrics,
        history=rules.train.output.history,
        published=published(),
    output:
        pdf="figures/curves_{cell}.pdf",
        png=report(
            "figures/curves_{cell}.png",
            caption="captions/curves.rst",
            category="Training curves",
            labels={"cell": "{cell}"},
        ),
    log:
        "logs/curves/{cell}.log",
    localrule: True
    conda:
        "../envs/w2dual.yaml"
    params:
        code=lambda wc: code_of("curves", [MEASURED[wc.cell]]),
        published=lambda wc, input: PUBLISHED,
    message:
        "Drawing {output.pdf}"
    shell:
        "python -m w2dual curves --metrics {input.metrics} --history {input.history}"
        " --published {params.published:q} --pdf {output.pdf} --png {output.png} > {log} 2>&1"


rule figure:
    """One figure of cells on the plane or of CelebA64, from their parameters."""
    input:
        params=lambda wc: expand(rules.train.output.params, cell=cells_of_figure(wc.figure)),
        metrics=lambda wc: expand(rules.train.output.metrics, cell=cells_of_figure(wc.figure)),
        measures=lambda wc: pairs_of_figure(wc.figure),
    output:
        pdf="figures/{figure}.pdf",
        png=report(
            "figures/{figure}.png",
            caption="captions/figure.rst",
            category=lambda wc: category_of(wc.figure),
            labels={"figure": "{figure}"},
        ),
    log:
        "logs/figure/{figure}.log",
    conda:
        "../envs/w2dual.yaml"
    resources:
        mem_mb=lambda wc, attempt: REQUESTS.light_mb(attempt),
        runtime=lambda wc, attempt: REQUESTS.light_min(attempt),
    params:
        code=lambda wc: code_of(
            "figure", [f"plots.{wc.figure}", *kinds_of(cells_of_figure(wc.figure))]
        ),
    message:
        "Drawing {output.pdf}"
    shell:
        "python -m w2dual figure {wildcards.figure} --params {input.params}"
        " --metrics {input.metrics} --measures {input.measures}"
        " --pdf {output.pdf} --png {output.png} > {log} 2>&1"


rule animation:
    """A figure that moves."""
    input:
        params=lambda wc: expand(rules.train.output.params, cell=cells_of_figure(wc.figure)),
        metrics=lambda wc: expand(rules.train.output.metrics, cell=cells_of_figure(wc.figure)),
        measures=lambda wc: pairs_of_figure(wc.figure),
    output:
        "figures/{figure}.gif",
    log:
        "logs/animation/{figure}.log",
    conda:
        "../envs/w2dual.yaml"
    resources:
        mem_mb=lambda wc, attempt: REQUESTS.light_mb(attempt),
        runtime=lambda wc, attempt: REQUESTS.light_min(attempt),
    params:
        code=lambda wc: code_of(
            "figure", [f"plots.{wc.figure}", *kinds_of(cells_of_figure(wc.figure))]
        ),
    message:
        "Drawing {output}"
    shell:
        "python -m w2dual figure {wildcards.figure} --params {input.params}"
        " --metrics {input.metrics} --measures {input.measures} --gif {output} > {log} 2>&1"
