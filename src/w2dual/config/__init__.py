"""The config: read, checked by its schema, turned into cells. Imports neither JAX nor pandas."""
