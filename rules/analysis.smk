# What the cells of the benchmark cost, how cost and accuracy go together, and the settings that ran.


rule cost_table:
    """Run time, conjugate iterations or milliseconds of a conjugation, of all potentials."""
    input:
        metrics=expand(rules.aggregate.output, potential=POTENTIALS),
    output:
        tex="tables/{cost}.tex",
        csv="tables/{cost}.csv",
    log:
        "logs/cost_table/{cost}.log",
    wildcard_constraints:
        cost="|".join(COST_TABLES),
    localrule: True
    conda:
        "../envs/w2dual.yaml"
    params:
        code=lambda wc: code_of("cost_table"),
        settings=lambda wc: as_json(arguments.table(config)),
        potentials=lambda wc: POTENTIALS,
    message:
        "Rendering {output.tex}"
    shell:
        "python -m w2dual cost-table {wildcards.cost} --metrics {input.metrics}"
        " --potentials {params.potentials} --settings {params.settings:q}"
        " --tex {output.tex} --csv {output.csv} > {log} 2>&1"


rule accuracy_figure:
    """L2-UVP of the benchmark's cells against cost, against dimension, or seed by seed."""
    input:
        metrics=expand(rules.aggregate.output, potential=POTENTIALS),
        baselines=rules.aggregate_baselines.output if BASELINES else [],
        published=published(),
    output:
        pdf="figures/{accuracy}.pdf",
        png=report(
            "figures/{accuracy}.png",
            caption="captions/accuracy.rst",
            category="Figures of the benchmark",
            labels={"figure": "{accuracy}"},
        ),
    log:
        "logs/accuracy_figure/{accuracy}.log",
    wildcard_constraints:
        accuracy="|".join(ACCURACY_FIGURES),
    localrule: True
    conda:
        "../envs/w2dual.yaml"
    params:
        code=lambda wc: code_of("accuracy_figure"),
        settings=lambda wc: as_json(arguments.table(config)),
        potentials=lambda wc: POTENTIALS,
        published=lambda wc, input: PUBLISHED,
    message:
        "Drawing {output.pdf}"
    shell:
        "python -m w2dual accuracy-figure {wildcards.accuracy} --metrics {input.metrics}"
        " --baselines {input.baselines}"
        " --potentials {params.potentials} --settings {params.settings:q}"
        " --published {params.published:q} --pdf {output.pdf} --png {output.png} > {log} 2>&1"


rule hyperparameters:
    """The settings of one part of the evaluation, as the config that ran has them."""
    input:
        # For its comments: units, meaning and sources.
        base=tracked("config.yaml"),
    output:
        tex="tables/{settings}.tex",
        csv="tables/{settings}.csv",
    log:
        "logs/hyperparameters/{settings}.log",
    wildcard_constraints:
        settings="|".join(SETTINGS_TABLES),
    localrule: True
    conda:
        "../envs/w2dual.yaml"
    params:
        code=lambda wc: code_of("hyperparameters"),
        config=lambda wc: as_json(arguments.settings_table(config, SETTINGS_TABLES[wc.settings])),
    message:
        "Rendering {output.tex}"
    shell:
        "python -m w2dual hyperparameters {wildcards.settings} --config {params.config:q}"
        " --base {input.base:q} --tex {output.tex} --csv {output.csv} > {log} 2>&1"
