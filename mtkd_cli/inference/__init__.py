"""Use a finished student: load it from its run, predict, evaluate and export.

Only the run folder is needed. Training and teachers have rooms of their own.
"""
