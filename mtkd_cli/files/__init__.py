"""Reading and writing files: atomic writes, whole folders, checksums, locks and YAML 1.2.

Nothing here knows what a file means to mtkd: recipes, stores, checkpoints and runs have rooms of
their own. Nothing here imports torch.
"""
