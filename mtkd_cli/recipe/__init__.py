"""From YAML to a checked recipe: the schema, overrides, names resolved to plugins, every error at once.

Nothing here imports torch, loads data or builds a model: `mtkd_cli.runs` does what a recipe says.
"""
