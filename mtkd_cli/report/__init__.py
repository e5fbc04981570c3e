"""Result files, and what is rendered from them: HTML pages, Markdown, plots and the summary of a run.

The types of result files, reading and writing them, and text that is made of them belong here. Scores,
differences and verdicts are computed by the rooms that make a result.
"""
