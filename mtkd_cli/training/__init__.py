"""The training loop and all that it needs: state, objectives, evaluation, checkpoints, search.

The loop trains students and fine-tunes teachers alike. Which models are trained, and in which order,
is decided by `mtkd_cli.teachers` and `mtkd_cli.runs`.
"""
