# Colour transport by Meta OT: fine-tuning on held-out pairs of images, its tables and its figure.

from w2dual.config.systems import meta_color

COLOR = CELLS_OF["meta_color"]
COLOR_SOLVER = [
    f"conjugate.{config['solvers'][config['meta_color']['finetuning']['solver']]['kind']}"
]


wildcard_constraints:
    color=tables_of("meta_color"),
    colored="|".join(map(re.escape, COLOR)) or "^$",


rule color_study:
    """Predictions for held-out pairs of images, fine-tuned by W2GN and by L-BFGS; and W2GN alone."""
    input:
        params="results/train/{colored}/params.safetensors",
        metrics="results/train/{colored}/metrics.json",
        measures=lambda wc: f"results/measures/{CELLS[wc.colored].pair}.safetensors",
    output:
        "results/color/{colored}.safetensors",
    log:
        "logs/color_study/{colored}.log",
    benchmark:
        "results/benchmarks/color_study/{colored}.tsv"
    conda:
        "../envs/w2dual.yaml"
    threads: config["resources"]["cpus"]
    resources:
        gpu=config["resources"]["gpus"],
        mem_mb=lambda wc, attempt: REQUESTS.training_mb(attempt),
        runtime=lambda wc, attempt: REQUESTS.light_min(attempt, times=2),
    params:
        code=lambda wc: code_of("color_study", [*COLOR_SOLVER, *kinds_of([wc.colored])]),
        settings=lambda wc: as_json(meta_color.study(config)),
    message:
        "Fine-tuning what {wildcards.colored} predicts"
    shell:
        "python -m w2dual color-study --params {input.params} --metrics {input.metrics}"
        " --measures {input.measures} --settings {params.settings:q} --threads {threads}"
        " --out {output} > {log} 2>&1"


rule color_table:
    """Values of the dual by updates with the published ones, or the claims about them."""
    input:
        studies=expand(rules.color_study.output, colored=COLOR),
        published=published(),
    output:
        tex="tables/{color}.tex",
        csv="tables/{color}.csv",
    log:
        "logs/color_table/{color}.log",
    localrule: True
    conda:
        "../envs/w2dual.yaml"
    params:
        code=lambda wc: code_of("color_table"),
        settings=lambda wc: as_json(meta_color.table(config)),
        published=lambda wc, input: PUBLISHED,
    message:
        "Rendering {output.tex}"
    shell:
        "python -m w2dual color-table {wildcards.color} --studies {input.studies}"
        " --published {params.published:q} --settings {params.settings:q}"
        " --tex {output.tex} --csv {output.csv} > {log} 2>&1"


rule color_figure:
    """Images whose colours are moved to another's, and back."""
    input:
        studies=expand(rules.color_study.output, colored=COLOR),
        measures=[f"results/measures/{cell.pair}.safetensors" for cell in COLOR.values()][:1],
    output:
        pdf="figures/meta_color.pdf",
        png=report(
            "figures/meta_color.png",
            caption="captions/figure.rst",
            category="Figures of colour transport",
            labels={"figure": "meta_color"},
        ),
    log:
        "logs/color_figure/meta_color.log",
    conda:
        "../envs/w2dual.yaml"
    resources:
        mem_mb=lambda wc, attempt: REQUESTS.light_mb(attempt),
        runtime=lambda wc, attempt: REQUESTS.light_min(attempt),
    params:
        code=lambda wc: code_of("color_figure", kinds_of(COLOR)),
    message:
        "Drawing {output.pdf}"
    shell:
        "python -m w2dual color-figure --studies {input.studies} --measures {input.measures}"
        " --pdf {output.pdf} --png {output.png} > {log} 2>&1"
