"""The doctor: what keeps the workflow from running on a cluster."""
