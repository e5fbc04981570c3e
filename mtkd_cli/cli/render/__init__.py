"""Terminal output of results: tables, summaries and progress.

Only text is made here. HTML and Markdown pages belong in `mtkd_cli.report`.
"""
