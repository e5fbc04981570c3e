"""The store: folders named by the hash of their content key, recorded outputs, and manifests of data files.

Code that computes outputs belongs in `mtkd_cli.teachers`, code for the files of a run in `mtkd_cli.runs`.
"""
