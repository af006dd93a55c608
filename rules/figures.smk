# Training curves, one figure per cell.


rule curves:
    """L2-UVP and dual objective of one cell against training steps."""
    input:
        metrics=rules.train.output.metrics,
        history=rules.train.output.history,
        published=published(),
        code=code("curves"),
    output:
        pdf="figures/curves_{cell}.pdf",
        png="figures/curves_{cell}.png",
    log:
        "logs/curves/{cell}.log",
    localrule: True
    conda:
        "../envs/w2dual.yaml"
    params:
        published=lambda wc: PUBLISHED,
    message:
        "Drawing {output.pdf}"
    shell:
        "python -m w2dual curves --metrics {input.metrics} --history {input.history}"
        " --published {params.published:q} --pdf {output.pdf} --png {output.png} > {log} 2>&1"
