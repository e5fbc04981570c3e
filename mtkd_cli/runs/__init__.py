"""A run: its folder, its pipeline from data to report, its manifest, and how it is resumed.

How each phase works belongs in the rooms below: `mtkd_cli.teachers`, `mtkd_cli.training`,
`mtkd_cli.report`.
"""
