"""Discover, check, install and scaffold plugins.

A plugin implements the types in `mtkd_cli.interfaces` and registers the specs in `mtkd_cli.specs` through the
hooks in `mtkd_cli.hookspecs`. `mtkd_cli.testing` checks the rules for its classes.
"""
