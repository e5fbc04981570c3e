"""Statistics of scores: bootstrap intervals and paired tests.

Only numbers go in and come out. Which scores are compared, and what a verdict is printed as,
belongs in the features that use it.
"""
