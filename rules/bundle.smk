# The archive for reviewers: everything that rules made, and the commands that made it.


rule bundle_plan:
    """What goes into the archive, and the commands that made it."""
    input:
        kept=bundled(),
    output:
        "results/bundle_plan.json",
    log:
        "logs/bundle/plan.log",
    localrule: True
    conda:
        "../envs/w2dual.yaml"
    params:
        plan=lambda wc, input: bundle_plan(input.kept),
    message:
        "Listing what goes into the archive"
    # A script gets its parameters by a file: a command line could not hold this one.
    script:
        "scripts/bundle_plan.py"


rule bundle:
    """One zip: source, metrics, parameters of a seed, tables, figures, PDF; an RO-Crate."""
    input:
        kept=bundled(),
        plan=rules.bundle_plan.output,
    output:
        "bundle.zip",
    log:
        "logs/bundle/bundle.log",
    localrule: True
    conda:
        "../envs/w2dual.yaml"
    params:
        code=lambda wc: code_of("bundle", RENDERING),
        root=lambda wc, input: SOURCE,
    message:
        "Packing {output}"
    shell:
        "python -m w2dual bundle --plan {input.plan} --root {params.root:q}"
        " --zip {output} > {log} 2>&1"
