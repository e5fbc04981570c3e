"""The commands, one file each: parse the arguments, call one function, print its result.

What a command computes belongs outside `mtkd_cli.cli`; how its result looks in `mtkd_cli.cli.render`.
Nothing here imports torch before a command runs.
"""
