"""`mtkd doctor`: check the environment and a recipe before a run; nothing is changed.

A check that a run needs anyway belongs in the room that does the work; the doctor calls it.
"""
