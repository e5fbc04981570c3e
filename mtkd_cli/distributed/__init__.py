"""Processes and devices: the process group, the launcher, signals, and summing gradients.

This package knows nothing of recipes, models or runs.
"""
