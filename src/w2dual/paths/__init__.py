"""Paths between points and what they cost: splines, discretised actions and lengths, obstacles.

A path is a polyline of shape (points, n, *batch), ends included: the coordinates come before what
is batched, as in the conjugate solvers, so that sums over them are sums of whole arrays. `interior`
is the same without the ends. Functions of a point, such as a potential U or a metric A, take
(n, *batch) and return (*batch) or (n, n, *batch); with no batch that is one point.

Source: Pooladian, Domingo-Enrich, Chen and Amos, "Neural optimal transport with Lagrangian costs"
(UAI 2024), with the discretisation of its published code.
"""
