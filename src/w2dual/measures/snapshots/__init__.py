"""Samples of a population at successive times, which moves under a metric: data and metrics."""
