"""The training loop: state, objectives, evaluation, checkpoints and hyperparameter search.

The loop trains students and fine-tunes teachers. Which models are trained, and in which order, is decided by
`mtkd_cli.teachers` and `mtkd_cli.runs`.
"""
