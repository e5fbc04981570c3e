"""Search for the student: candidates within a budget, trained by successive halving on recorded outputs.

Measurement, rungs and the choice of the pick are here. The pick's own run is a run like any other.
"""
