"""How fast training and conjugation are beside other implementations; see benchmarks/README.md."""
