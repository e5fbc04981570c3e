"""Use a finished student: load it from its run, predict, evaluate and export.

It needs nothing but the run's folder. Training and teachers belong elsewhere.
"""
