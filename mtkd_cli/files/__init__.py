"""Reading and writing files: atomic writes, complete folders, checksums, listings, locks and YAML 1.2.

Recipes, stores, checkpoints and runs have rooms of their own. Nothing here imports torch.
"""
