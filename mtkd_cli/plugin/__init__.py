"""Discover, check, install and scaffold plugins.

What a plugin implements is in `mtkd_cli.interfaces`, what it registers in `mtkd_cli.specs` and
`mtkd_cli.hookspecs`. The rules that its classes must keep are tested by `mtkd_cli.testing`.
"""
