"""mtkd from Python: the commands as functions. Importing this imports no torch.

    import mtkd

    report = mtkd.distill("digits", train={"epochs": 3}, strategy="mean")
    student = mtkd.load_student(report["run"])

The functions are those of `mtkd_cli.api`. Errors are `MtkdError`.
"""

from mtkd_cli import __version__
from mtkd_cli.api import distill, evaluate, load_student, predict, record, student_files
from mtkd_cli.errors import MtkdError

__all__ = [
    "MtkdError",
    "__version__",
    "distill",
    "evaluate",
    "load_student",
    "predict",
    "record",
    "student_files",
]
