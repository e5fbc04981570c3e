"""The command line: commands in `commands`, their terminal output in `render`.

Nothing outside this package imports it. A command parses, calls one function of a lower room and prints.
"""
