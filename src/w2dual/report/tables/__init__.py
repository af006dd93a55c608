"""Tables: LaTeX with booktabs, and the same numbers as tidy CSV."""
