"""`mtkd doctor`: check the environment and a recipe before a run, without changing anything.

A check that a run needs too belongs to the package that does the work; the doctor calls it.
"""
