# Recovery of metrics: their table, and scores of weights that a user has; none of it for a preset without.

from w2dual.config.systems import metric_recovery

SCORED = metric_recovery.scored_weights(config)


rule score_metrics:
    """The alignment of metrics that others have learned, from a user's copies of their weights."""
    input:
        weights=[tracked(path) for path in SCORED.values()],
    output:
        "results/scores/metric_recovery.csv",
    log:
        "logs/score_metrics/metric_recovery.log",
    localrule: True
    conda:
        "../envs/w2dual.yaml"
    params:
        code=lambda wc: code_of("score_metrics"),
        settings=lambda wc, input: as_json(
            metric_recovery.score_metrics(config, dict(zip(SCORED, map(str, input.weights))))
        ),
        # What decides the scores besides the files.
        content=lambda wc: as_json(metric_recovery.score_metrics(config, SCORED)),
    message:
        "Scoring published weights"
    shell:
        "python -m w2dual score-metrics --settings {params.settings:q} --out {output} > {log} 2>&1"


rule metric_recovery_table:
    """Alignment of recovered metrics, next to the published scores and to chance."""
    input:
        metrics=metrics_of("metric_recovery"),
        scores=rules.score_metrics.output if SCORED else [],
        published=published(),
    output:
        tex="tables/metric_recovery.tex",
        csv="tables/metric_recovery.csv",
    log:
        "logs/table/metric_recovery.log",
    localrule: True
    conda:
        "../envs/w2dual.yaml"
    params:
        code=lambda wc: code_of("metric_recovery_table"),
        settings=lambda wc: as_json(metric_recovery.table(config)),
        published=lambda wc, input: PUBLISHED,
    message:
        "Rendering {output.tex}"
    shell:
        "python -m w2dual metric-recovery-table --metrics {input.metrics} --scores {input.scores}"
        " --published {params.published:q} --settings {params.settings:q}"
        " --tex {output.tex} --csv {output.csv} > {log} 2>&1"
