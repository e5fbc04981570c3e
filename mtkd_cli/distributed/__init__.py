"""Processes and devices: the process group, the launcher, signals, gradients across processes.

What runs on the processes belongs elsewhere. Nothing here knows recipes, models or runs.
"""
