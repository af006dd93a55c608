# The archive for reviewers: everything that rules made, and the commands that made it.


rule bundle:
    """One zip: source, metrics, parameters of a seed, tables, figures, PDF; an RO-Crate."""
    input:
        kept=bundled(),
    output:
        "bundle.zip",
    log:
        "logs/bundle/bundle.log",
    localrule: True
    conda:
        "../envs/w2dual.yaml"
    params:
        code=lambda wc: code_of("bundle"),
        plan=lambda wc, input: bundle_plan(input.kept),
        root=lambda wc, input: SOURCE,
    message:
        "Packing {output}"
    shell:
        "python -m w2dual bundle --plan {params.plan} --root {params.root:q}"
        " --zip {output} > {log} 2>&1"
