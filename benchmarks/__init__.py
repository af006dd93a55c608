"""Speed of training and conjugation next to other implementations; see benchmarks/README.md."""
