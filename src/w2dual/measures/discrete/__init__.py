"""Laws over pairs of discrete measures on fixed points, and where their data come from."""
