"""Render results: HTML pages, Markdown, plots and the summary of a run.

Nothing here computes a score or reads a model: facts come in, text goes out.
"""
