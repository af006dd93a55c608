"""Entropic optimal transport between discrete measures: its semi-dual, and what maximises it.

For a source a on n_a points (rows), a target b on n_b points (columns), a cost C and epsilon:

    max over f of  <f, a> + <g(f), b>,   g(f)_j = eps log b_j - eps log sum_i exp((f_i - C_ij)/eps)

Potentials are divided by epsilon throughout: u = f/eps and v = g/eps. Where a weight is 0 they are
`NOTHING`, which stands for minus infinity, so that no difference of infinities arises.

`geometry` has log-sum-exps over rows and columns, each of which is one *kernel product*, the unit
of work. `semi_dual` has value, gradient and Hessian; `starts` what a solver starts from; the
solvers are `sinkhorn`, `newton` and `lbfgs`, all of which tell after how many iterations and kernel
products each of several tolerances was met.
"""
