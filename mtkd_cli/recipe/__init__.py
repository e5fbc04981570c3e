"""Read and validate recipes: the schema, overrides, and names of plugins; all errors are reported at once.

Nothing here imports torch, loads data or builds a model; `mtkd_cli.runs` executes recipes.
"""
