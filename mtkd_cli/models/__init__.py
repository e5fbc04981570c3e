"""Build models, preprocess their inputs, replace their heads and measure their cost.

Nothing here trains. Code for teachers only belongs in `mtkd_cli.teachers`.
"""
