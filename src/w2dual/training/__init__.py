"""Training: the loop, what surrounds it, and one file a method."""
