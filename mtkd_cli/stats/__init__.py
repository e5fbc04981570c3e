"""Statistics of scores: intervals over samples, paired tests, several tests read together.

Only numbers go in and come out. Which scores are compared, and what a verdict is printed as,
belongs in the features that use it.
"""
