# The CelebA64 table, the verdict on it, and what its cells cost; none of it for a preset without them.


rule aggregate_celeba64:
    """One row per cell of CelebA64 and seed."""
    input:
        metrics=expand(rules.train.output.metrics, cell=IMAGES),
    output:
        "results/metrics/celeba64.csv",
    log:
        "logs/aggregate/celeba64.log",
    localrule: True
    conda:
        "../envs/w2dual.yaml"
    params:
        code=lambda wc: code_of("aggregate"),
        cells=lambda wc: hashes(IMAGES),
    message:
        "Gathering the metrics of the CelebA64 cells"
    shell:
        "python -m w2dual aggregate --metrics {input.metrics} --cells {params.cells:q}"
        " --out {output} > {log} 2>&1"


rule aggregate_celeba64_baselines:
    """One row per cell of the benchmark's own methods on images and seed."""
    input:
        metrics=expand(rules.train.output.metrics, cell=IMAGE_BASELINES),
    output:
        "results/metrics/celeba64_baselines.csv",
    log:
        "logs/aggregate/celeba64_baselines.log",
    localrule: True
    conda:
        "../envs/w2dual.yaml"
    params:
        code=lambda wc: code_of("aggregate"),
        cells=lambda wc: hashes(IMAGE_BASELINES),
    message:
        "Gathering the metrics of the benchmark's own methods on images"
    shell:
        "python -m w2dual aggregate --metrics {input.metrics} --cells {params.cells:q}"
        " --out {output} > {log} 2>&1"


rule celeba64_table:
    """Errors both ways with the quoted baselines, the verdict, or what the cells cost."""
    input:
        metrics=rules.aggregate_celeba64.output,
        # Errors alone stand beside those of the benchmark's own methods.
        baselines=lambda wc: (
            rules.aggregate_celeba64_baselines.output
            if IMAGE_BASELINES and wc.images == "celeba64"
            else []
        ),
        published=published(),
    output:
        tex="tables/{images}.tex",
        csv="tables/{images}.csv",
    log:
        "logs/celeba64_table/{images}.log",
    localrule: True
    conda:
        "../envs/w2dual.yaml"
    params:
        code=lambda wc: code_of("celeba64_table"),
        settings=lambda wc: as_json(arguments.celeba64_table(config)),
        published=lambda wc, input: PUBLISHED,
    message:
        "Rendering {output.tex}"
    shell:
        "python -m w2dual celeba64-table {wildcards.images} --metrics {input.metrics}"
        " --baselines {input.baselines} --published {params.published:q} --settings {params.settings:q}"
        " --tex {output.tex} --csv {output.csv} > {log} 2>&1"


rule claims_celeba64:
    """The paper's claims that the CelebA64 table bears on."""
    input:
        verdict="tables/verdict_celeba64.csv",
    output:
        tex="tables/claims_celeba64.tex",
        csv="tables/claims_celeba64.csv",
    log:
        "logs/claims/claims_celeba64.log",
    localrule: True
    conda:
        "../envs/w2dual.yaml"
    params:
        code=lambda wc: code_of("claims"),
        settings=lambda wc: as_json(arguments.celeba64_table(config)),
    message:
        "Checking the paper's claims on CelebA64"
    shell:
        "python -m w2dual claims --verdict {input.verdict} --settings {params.settings:q}"
        " --tex {output.tex} --csv {output.csv} > {log} 2>&1"
