# Tables as pages of `snakemake --report`, which shows HTML, and hands CSV out to be downloaded only.


# Table -> category, label and caption of its page.
PAGES = {
    "verdict_hd": (
        "Verdict",
        "cell by cell",
        "Each cell that the paper reports in high dimensions, with ours next to it: the difference "
        "and its confidence interval, p-values of equivalence and of difference (also after "
        "Holm), the word and why.",
    ),
    "claims": (
        "Verdict",
        "claims",
        "Sentences of the paper about its tables, each with the comparisons that support or "
        "contradict it here, and in the paper's own numbers.",
    ),
    "trivial_maps": (
        "Tables",
        "trivial maps",
        "Maps that need no training, on the same measures: what a learned map has to beat.",
    ),
    "synthetic": (
        "Tables",
        "on the plane",
        "Couplings on the plane: distances of moved samples to the measure aimed at, next to the "
        "floor that no map can pass.",
    ),
    "runtime_hd": ("Run time", "training", "What training takes, one seed's share, in seconds."),
    "conjugation_iterations": (
        "Run time",
        "iterations of a conjugation",
        "Iterations of the conjugate solver from its amortized start, once training has ended.",
    ),
    "conjugation_time": (
        "Run time",
        "time of a conjugation",
        "Milliseconds to conjugate a batch on trained parameters, one seed's share.",
    ),
    "lbfgs_line_search": (
        "Run time",
        "L-BFGS by line search",
        "What L-BFGS costs by its line search, warm started on a trained cell.",
    ),
    "wolfe_vs_armijo": (
        "Run time",
        "Wolfe against Armijo",
        "The same number of iterations with a strong Wolfe and with an Armijo line search.",
    ),
}
PAGES |= {
    "celeba64": (
        "Tables",
        "CelebA64",
        "L2-UVP of both maps in percent (lower is better) on images: mean and standard deviation "
        "over seeds. The quoted baselines are, by the notebooks of their authors, of the inverse "
        "map (inferred); the paper's own values are of the forward one. Where the benchmark's own "
        "methods were trained here, they have two rows each: best of a run, and last.",
    ),
    "verdict_celeba64": (
        "Verdict",
        "CelebA64, cell by cell",
        "Each cell of the paper's CelebA64 table, by our forward errors, with our inverse ones.",
    ),
    "claims_celeba64": (
        "Verdict",
        "CelebA64, claims",
        "Sentences of the paper that the CelebA64 table bears on, with the comparisons.",
    ),
    "costs_celeba64": (
        "Run time",
        "CelebA64",
        "Training time, conjugate iterations and milliseconds of a conjugation on images.",
    ),
}
PAGES["hd_baselines"] = (
    "Tables",
    "HD, the benchmark's own methods",
    "L2-UVP in percent (lower is better) of the benchmark's own methods: the best evaluation of a "
    "run, chosen by the optimal map, and the last, next to the published values, which are bests.",
)
for potential in POTENTIALS:
    PAGES[f"hd_{potential}"] = (
        "Tables",
        f"HD, {potential}",
        f"L2-UVP of the forward map in percent (lower is better), {potential} potential: mean and "
        "standard deviation over seeds, the paper's values below, baselines as quoted there.",
    )
for adds in ADDED.values():
    PAGES |= adds.tables
for name, section in SETTINGS_TABLES.items():
    PAGES[name] = ("Settings", section, "The settings that ran, and where each comes from.")


rule table_page:
    """A table as a page of its own."""
    input:
        csv="tables/{table}.csv",
    output:
        html=report(
            "tables/{table}.html",
            caption="captions/page.rst",
            category=lambda wc: PAGES[wc.table][0],
            labels=lambda wc: {"what": PAGES[wc.table][1]},
        ),
    log:
        "logs/table_page/{table}.log",
    wildcard_constraints:
        table="|".join(TABLES),
    localrule: True
    conda:
        "../envs/w2dual.yaml"
    params:
        code=lambda wc: code_of("table_page"),
        says=lambda wc: PAGES[wc.table][2],
    message:
        "Setting {output.html}"
    shell:
        "python -m w2dual table-page --csv {input.csv} --html {output.html} > {log} 2>&1"
