"""Statistics of scores: intervals over samples, paired tests, corrections for several tests.

Functions here take and return numbers. The choice of scores and the wording of verdicts belong in the
features that use them.
"""
