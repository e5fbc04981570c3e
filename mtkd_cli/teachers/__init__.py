"""Prepare teachers: load, probe, fine-tune, calibrate, align their classes, record their outputs.

The format of recorded outputs belongs in `mtkd_cli.store`, strategies that combine teachers in
`mtkd_cli.training.strategy` and plugins.
"""
