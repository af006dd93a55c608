"""What the Wasserstein-2 HD benchmark is made of: mixture, potentials, published files."""
