"""How good a trained cell is, and what it does to points."""
