"""Samples in memory: splits with and without labels, and augmented views.

Files are read by `mtkd_cli.reading` and by the data sources in plugins.
"""
