"""The store: folders found by the hash of what decides their content, and recorded teacher outputs.

How outputs are computed belongs in `mtkd_cli.teachers`. The files of a run belong in `mtkd_cli.runs`.
"""
