# Meta OT between discrete measures: starts by solvers on held-out pairs, its tables and its figures.

from w2dual.config.systems import meta_sinkhorn


wildcard_constraints:
    task="|".join(map(re.escape, TASKS)) or "^$",
    starts=tables_of("meta_sinkhorn"),
    starts_figure="|".join(ADDITIONS["meta_sinkhorn"].drawn(config)) if TASKS else "^$",


rule start_study:
    """Every start by every solver on held-out pairs; alone on the machine, since it times them."""
    input:
        measures="results/measures/{task}.safetensors",
        params=lambda wc: expand(rules.train.output.params, cell=starts_of(wc.task)),
        metrics=lambda wc: expand(rules.train.output.metrics, cell=starts_of(wc.task)),
    output:
        counts="results/meta_sinkhorn/{task}.csv",
        traces="results/meta_sinkhorn/{task}.safetensors",
    log:
        "logs/start_study/{task}.log",
    benchmark:
        "results/benchmarks/start_study/{task}.tsv"
    conda:
        "../envs/w2dual.yaml"
    threads: all_cores()
    resources:
        gpu=config["resources"]["gpus"],
        mem_mb=lambda wc, attempt: REQUESTS.training_mb(attempt),
        runtime=lambda wc, attempt: REQUESTS.light_min(attempt, times=2),
    params:
        code=lambda wc: code_of(
            "meta_sinkhorn",
            [
                "conjugate.lbfgs",
                *pair_modules(PAIRS[wc.task]["kind"]),
                *kinds_of(starts_of(wc.task)),
            ],
        ),
        settings=lambda wc: as_json(meta_sinkhorn.study(config, wc.task)),
    message:
        "Comparing starts on {wildcards.task}"
    shell:
        "python -m w2dual meta-sinkhorn --measures {input.measures} --params {input.params}"
        " --metrics {input.metrics} --settings {params.settings:q} --threads {threads}"
        " --counts {output.counts} --traces {output.traces} > {log} 2>&1"


rule start_table:
    """Starts by solvers with the published seconds, or the claims about them."""
    input:
        counts=expand("results/meta_sinkhorn/{task}.csv", task=TASKS),
        traces=expand("results/meta_sinkhorn/{task}.safetensors", task=TASKS),
        published=published(),
    output:
        tex="tables/{starts}.tex",
        csv="tables/{starts}.csv",
    log:
        "logs/start_table/{starts}.log",
    localrule: True
    conda:
        "../envs/w2dual.yaml"
    params:
        code=lambda wc: code_of("meta_sinkhorn_table"),
        settings=lambda wc: as_json(meta_sinkhorn.table(config)),
        published=lambda wc, input: PUBLISHED,
    message:
        "Rendering {output.tex}"
    shell:
        "python -m w2dual meta-sinkhorn-table {wildcards.starts} --counts {input.counts}"
        " --traces {input.traces} --published {params.published:q}"
        " --settings {params.settings:q} --tex {output.tex} --csv {output.csv} > {log} 2>&1"


rule start_figure:
    """Errors by iteration, digits that morph, or who supplies whom."""
    input:
        traces=expand("results/meta_sinkhorn/{task}.safetensors", task=TASKS),
        published=published(),
    output:
        pdf="figures/{starts_figure}.pdf",
        png=report(
            "figures/{starts_figure}.png",
            caption="captions/starts.rst",
            category="Figures of Meta OT",
            labels={"figure": "{starts_figure}"},
        ),
    log:
        "logs/start_figure/{starts_figure}.log",
    localrule: True
    conda:
        "../envs/w2dual.yaml"
    params:
        code=lambda wc: code_of("meta_sinkhorn_figure"),
        published=lambda wc, input: PUBLISHED,
    message:
        "Drawing {output.pdf}"
    shell:
        "python -m w2dual meta-sinkhorn-figure {wildcards.starts_figure} --traces {input.traces}"
        " --published {params.published:q} --pdf {output.pdf} --png {output.png} > {log} 2>&1"
