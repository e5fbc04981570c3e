"""Samples in memory: splits, hidden labels and augmented views.

Reading files belongs in `mtkd_cli.reading` and in the data sources of plugins.
"""
