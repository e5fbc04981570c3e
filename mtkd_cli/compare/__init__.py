"""`mtkd compare`: train a grid of students from one recording, or take finished runs, and compare them.

The tests behind the verdicts are in `mtkd_cli.stats`, the pages in `mtkd_cli.report`.
"""
