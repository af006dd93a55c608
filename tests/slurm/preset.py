"""The preset of the cluster's test: three cells that take seconds, and one that takes a minute."""

from __future__ import annotations

SHORT = "hd2-mlp-objective-none"
REQUEUED = "hd2-mlp-objective-lbfgs"
KILLED = "hd2-mlp-regression-lbfgs"
LONG = "hd2-mlp-objective-slow"
"""The one that its time limit stops; its solver takes the most iterations for every point."""
CELLS = (SHORT, REQUEUED, KILLED, LONG)

PRESET = """\
preset: {name: cluster, label: "a test of the cluster", reduced: true}
measures:
  benchmark:
    sources: [mirror, generated]
    moment_samples: 4096
    generated: {iterations: 100, batch_size: 64, pretraining_iterations: 20}
solvers:
  slow:
    kind: adam
    gradient_tolerance: 1.0e-30
    max_iterations: 80
    learning_rate: 0.1
    final_learning_rate_factor: 1.0e-4
    b1: 0.9
    b2: 0.999
hd:
  potentials: [mlp]
  methods:
    - {amortization: objective, solver: slow}
    - {amortization: objective, solver: lbfgs}
    - {amortization: regression, solver: lbfgs}
    - {amortization: objective, solver: none}
  seeds: [0]
  training: {batch_size: 64, iterations: 12000, hidden: [16, 16]}
  pretraining: {iterations: 20, min_iterations: 10}
  evaluation: {samples: 512, history_every: 200, history_samples: 256}
  logging: {every: 200}
celeba64: {generators: []}
lagrangian: {methods: []}
metric_recovery: {sets: []}
meta_sinkhorn: {tasks: []}
checkpoint: {every_s: 1, keep: 2}
resources: {gpus: 1, cpus: 1, memory_mb: 1500, runtime_min: {2: 10}}
"""
