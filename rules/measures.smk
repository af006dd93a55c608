# Pairs of measures with their ground truth, and what maps without training reach on them.


rule prepare:
    """One pair: verified weights or a pair trained here, with its frozen constants; or two laws."""
    input:
        images=lambda wc: images_of(wc.pair),
        generator=lambda wc: generator_of(wc.pair),
    output:
        "results/measures/{pair}.safetensors",
    log:
        "logs/prepare/{pair}.log",
    benchmark:
        "results/benchmarks/prepare/{pair}.tsv"
    priority: 2  # all else waits for it
    conda:
        "../envs/w2dual.yaml"
    threads: config["resources"]["cpus"]
    resources:
        gpu=lambda wc: (
            config["resources"]["gpus"]
            if wc.pair != CELEBA64_GENERATOR and arguments.trains(PAIRS[wc.pair])
            else 0
        ),
        mem_mb=lambda wc, attempt: preparing(wc.pair, attempt)[0],
        runtime=lambda wc, attempt: preparing(wc.pair, attempt)[1],
    params:
        code=lambda wc: code_of("prepare", preparation_modules(PAIRS[wc.pair]["kind"])),
        # What decides the content; a change makes the file again.
        content=lambda wc: as_json(content(wc.pair)),
        # The same and where the files are; a mirror that moved changes nothing.
        settings=lambda wc, input: as_json(prepared(wc.pair)),
    message:
        "Preparing the pair of measures {wildcards.pair}"
    shell:
        "python -m w2dual prepare --pair {wildcards.pair} --settings {params.settings:q}"
        " --out {output} > {log} 2>&1"


rule trivial:
    """The identity, the constant and the best linear map, on every pair of the benchmark."""
    input:
        pairs=expand(
            "results/measures/{pair}.safetensors",
            pair=sorted({cell.pair for cell in HD.values()}, key=DIMENSIONS.get),
        ),
    output:
        "tables/trivial_maps.csv",
    log:
        "logs/trivial/trivial_maps.log",
    conda:
        "../envs/w2dual.yaml"
    resources:
        mem_mb=lambda wc, attempt: REQUESTS.light_mb(attempt),
        runtime=lambda wc, attempt: REQUESTS.light_min(attempt),
    params:
        code=lambda wc: code_of("trivial", pair_modules("benchmark")),
        samples=lambda wc: config["hd"]["evaluation"]["samples"],
        seed=lambda wc: config["hd"]["seeds"][0],
    message:
        "Evaluating maps that need no training"
    shell:
        "python -m w2dual trivial --pairs {input.pairs} --samples {params.samples}"
        " --seed {params.seed} --out {output} > {log} 2>&1"
