"""Studies of the conjugate solver on trained cells: its way down, and its line search.

`choice` says which cells, and is light; the jobs are `conjugation` and `line_search`.
"""
