"""What the CelebA64 benchmark is made of: generator, convex potentials, published files."""
