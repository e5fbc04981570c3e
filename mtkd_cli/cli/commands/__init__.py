"""The commands, one file each: parse the arguments, call one function, print its result.

Computation belongs outside `mtkd_cli.cli`, and formatting in `mtkd_cli.cli.render`. Importing this package
does not import torch.
"""
