"""Build models, prepare their inputs, replace their heads and measure what they cost.

Nothing here trains. What is special about teachers belongs in `mtkd_cli.teachers`.
"""
