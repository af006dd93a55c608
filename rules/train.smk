# One cell, one job: all its seeds are trained at once.


rule cell:
    """The record of one cell: all that its training job needs to know."""
    output:
        "results/cells/{cell}.json",
    log:
        "logs/cell/{cell}.log",
    localrule: True
    conda:
        "../envs/w2dual.yaml"
    params:
        record=lambda wc: as_json(CELLS[wc.cell].to_json()),
    message:
        "Writing {output}"
    # No Python: there are as many of these as there are cells.
    shell:
        "printf '%s\\n' {params.record:q} > {output} 2> {log}"


rule train:
    """All seeds of one cell: metrics, history and parameters."""
    input:
        cell=rules.cell.output,
        measures=lambda wc: f"results/measures/{CELLS[wc.cell].pair}.safetensors",
    output:
        metrics="results/train/{cell}/metrics.json",
        history="results/train/{cell}/history.csv",
        params="results/train/{cell}/params.safetensors",
    log:
        "logs/train/{cell}.log",
    benchmark:
        "results/benchmarks/train/{cell}.tsv"
    priority: 1  # what lasts longest first: what follows from it fills the other cores
    conda:
        "../envs/w2dual.yaml"
    threads: config["resources"]["cpus"]
    resources:
        gpu=config["resources"]["gpus"],
        mem_mb=lambda wc, attempt: REQUESTS.training_mb(attempt),
        runtime=lambda wc, attempt: REQUESTS.training_min(CELLS[wc.cell], attempt),
    params:
        code=lambda wc: code_of("train", kinds_of([wc.cell])),
        # What is in the file: also where that was written and training was stopped before it began.
        cell=lambda wc: as_json(CELLS[wc.cell].to_json()),
        # `input` in the signature: other words for the preset are no reason to train again.
        preset=lambda wc, input: as_json(config["preset"]),
        # Nor is how often checkpoints are written: they move no number. Their folder is undeclared,
        # since declared outputs are wiped before each attempt.
        checkpoint=lambda wc, input: config["checkpoint"],
    message:
        "Training {wildcards.cell}"
    # `exec`: a signal that asks the job to stop must not end a shell around it first, since
    # the batch system then kills what is left.
    shell:
        "exec python -m w2dual train --cell {input.cell} --preset {params.preset:q}"
        " --threads {threads} --measures {input.measures} --metrics {output.metrics}"
        " --history {output.history} --params {output.params}"
        " --checkpoints checkpoints/{wildcards.cell}"
        " --checkpoint-every-s {params.checkpoint[every_s]}"
        " --checkpoint-keep {params.checkpoint[keep]} > {log} 2>&1"
