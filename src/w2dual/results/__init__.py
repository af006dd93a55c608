"""What the evaluation says: tidy rows, published values, tests, verdict, claims."""
