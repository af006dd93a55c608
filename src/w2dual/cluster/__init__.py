"""Where the workflow runs: costs, estimates, resources, and what SLURM says."""
