"""Studies of trained cells: conjugates, line searches, predicted starts, colours, metrics.

`w2dual.config.studies` says which cells, and is light; the jobs are `conjugation-study`,
`line-search`, `meta-sinkhorn`, `color-study`, `recolour` and `score-metrics`.
"""
