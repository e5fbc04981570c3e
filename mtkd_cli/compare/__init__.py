"""``mtkd compare``: train a grid of students, or take finished runs, and compare them over seeds.

The statistics are in `mtkd_cli.stats`, the page in `mtkd_cli.report`.
"""
