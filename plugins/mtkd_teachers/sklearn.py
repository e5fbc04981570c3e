"""Fitted scikit-learn estimators and pipelines from skops files: ``sklearn:forest.skops``.

No pickle: skops loads known types only, and trees are checked before use. Other types, and files of joblib
or pickle, are loaded only if the user trusts the file.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mtkd_cli.errors import DataError, first_line, join_first, missing_path, nearest
from mtkd_cli.interfaces import Column, InputSpec, Model, ModelRequest
from mtkd_cli.safe_loading.decompression_limits import refuse_bomb
from mtkd_cli.safe_loading.optional_imports import need
from mtkd_teachers.sklearn_types import NEIGHBORS, trusted_types
from mtkd_teachers.tree_validation import find_invalid_tree

IMPORT_HINT = "add the folder with its classes to PYTHONPATH"

TINY = 1e-12
"""Lower bound of probabilities before the logarithm."""


class SklearnProvider:
    """Classifiers return log-probabilities of their classes, regressors return values.

    Estimators get the table's raw columns: categories as texts, missing values as NaN. If they were fitted
    on named columns, columns are matched by name.
    """

    def files(self, model: str) -> list[Path]:
        """Return the file."""
        path = Path(model)
        if not path.is_file():
            raise missing_path(path, f"sklearn:{model}")
        return [path]

    def build(self, request: ModelRequest) -> Model:
        """Return the estimator as a module without parameters."""
        (path,) = self.files(request.model)
        where = f"sklearn:{request.model}"
        estimator = load(path, where, request.trusts(path))
        if not hasattr(estimator, "predict"):
            raise DataError(f"{type(estimator).__name__} has no predict()", where, "save the whole pipeline")
        columns = request.columns or tuple(Column(str(i)) for i in range(request.channels))
        module = Estimator(estimator, columns, request.outputs, where)
        classes = tuple(map(str, estimator.classes_)) if module.classifies else None
        spec = InputSpec(size=1, channels=request.channels, raw=True)
        return Model(module, spec, classes=classes, trained=True, channels_last=False)


class Estimator(nn.Module):
    """A torch module that runs an estimator: table rows ``[B, F]`` in, ``[B, C]`` or ``[B, T]`` out.

    Args:
        estimator: fitted estimator or pipeline.
        columns: columns of the table.
        outputs: number of outputs of the task; 2T for T values and their variances.
        where: teacher, used in messages.
    """

    def __init__(self, estimator: Any, columns: tuple[Column, ...], outputs: int, where: str) -> None:
        super().__init__()
        self.estimator, self.columns, self.outputs, self.where = estimator, columns, outputs, where
        self.classifies = hasattr(estimator, "classes_")
        if self.classifies and not hasattr(estimator, "predict_proba"):
            raise DataError(
                f"{_kind(estimator)} has no predict_proba()",
                where,
                "wrap it in CalibratedClassifierCV and fit it",
            )
        self.named = hasattr(estimator, "feature_names_in_")
        self.indices = self._column_indices()

    def forward(self, rows: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Return log-probabilities or values; a pair (mean, variance) if the task needs variances."""
        table = self._table(rows.cpu().numpy())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about column names and versions
            answer = self._answer(table)
        parts = [torch.from_numpy(np.asarray(part, dtype=np.float64)).to(rows.device) for part in answer]
        return parts[0] if len(parts) == 1 else (parts[0], parts[1])

    def _answer(self, table: Any) -> list[NDArray[Any]]:
        if self.classifies:
            probabilities = self.estimator.predict_proba(table)
            if isinstance(probabilities, list):
                raise DataError(
                    f"{_kind(self.estimator)} predicts several labels",
                    self.where,
                    "save one estimator per label",
                )
            return [np.log(np.clip(probabilities, TINY, None))]
        last = self.estimator[-1] if hasattr(self.estimator, "steps") else self.estimator
        if self.outputs % 2 == 0 and "return_std" in inspect.signature(last.predict).parameters:
            mean, deviation = self.estimator.predict(table, return_std=True)
            if 2 * (1 if np.ndim(mean) == 1 else np.shape(mean)[1]) == self.outputs:
                return [mean, np.square(deviation)]
            return [mean]
        return [self.estimator.predict(table)]

    def _column_indices(self) -> list[int]:
        """Return the indices of the table's columns that the estimator was fitted on, in its order.

        Raises:
            DataError: the data does not have these columns.
        """
        own = [column.name for column in self.columns]
        if not self.named:
            wanted = getattr(self.estimator, "n_features_in_", len(own))
            if wanted != len(own):
                raise DataError(
                    f"the estimator was fitted on {wanted} columns, but the data has {len(own)}",
                    where=self.where,
                    hint="leave out the others with data.ignore, or fit it on a table with named columns",
                )
            return list(range(len(own)))
        names = [str(name) for name in self.estimator.feature_names_in_]
        for name in names:
            if name not in own:
                raise DataError(
                    f"the estimator was fitted on column {name!r}, which the data does not have",
                    where=self.where,
                    hint=nearest(name, own) or f"the data has {join_first(own)}",
                )
        return [own.index(name) for name in names]

    def _table(self, rows: NDArray[Any]) -> Any:
        """Return the rows as a data frame if the estimator was fitted on column names, else as an array."""
        chosen = [self.columns[index] for index in self.indices]
        if not any(column.categories for column in chosen) and not self.named:
            return rows.astype(np.float64)
        parts = [
            _texts(rows[:, p], self.columns[p])
            if self.columns[p].categories
            else rows[:, p].astype(np.float64)
            for p in self.indices
        ]
        if self.named:
            return to_frame({column.name: part for column, part in zip(chosen, parts, strict=True)})
        return np.stack([part.astype(object) for part in parts], axis=1)


def load(path: Path, where: str, trusted: bool = False) -> Any:
    """Return the estimator in a file.

    Args:
        path: a skops file; a file of joblib or pickle if it is trusted.
        where: the teacher, for messages.
        trusted: whether loading the file may run code in it.

    Raises:
        DataError: skops is not installed, the file contains unknown types and is not trusted, or it is
            damaged.
    """
    refuse_bomb(path)
    estimator = (
        _from_skops(path, where, trusted) if zipfile.is_zipfile(path) else _unpickle(path, where, trusted)
    )
    if problem := find_invalid_tree(estimator):
        raise DataError(f"the file is damaged or manipulated: {problem}", where, "save it again")
    return estimator


def _from_skops(path: Path, where: str, trusted: bool) -> Any:
    need("skops", "tabular", where)
    import skops.io

    try:
        content = path.read_bytes()
        types = skops.io.get_untrusted_types(data=content)
        unknown = [] if trusted else [name for name in types if name not in trusted_types()]
        if unknown:
            raise DataError(
                f"the file contains types that are not trusted: {', '.join(unknown)}",
                where=where,
                hint=f"{_replacement(unknown)}if you trust its source: --trust-pickle {path}",
            )
        return skops.io.loads(content, trusted=types)
    except DataError:
        raise
    except Exception as error:  # damaged files and files of other formats raise all kinds of errors
        raise DataError(
            f"not a skops file: {first_line(error)}", where, "save it with skops.io.dump"
        ) from error


def _replacement(unknown: Sequence[str]) -> str:
    """Return what to use instead of unknown types, as the beginning of a hint."""
    if all(name.startswith(NEIGHBORS) for name in unknown):
        return "fit it with algorithm='brute' and save it again, or "
    return "use scikit-learn's own estimators and functions, or "


def _unpickle(path: Path, where: str, trusted: bool) -> Any:
    if not trusted:
        raise DataError(
            "not a skops file; a file of joblib or pickle can run code when it is loaded",
            where=where,
            hint=f"save it with skops.io.dump, or if you trust its source: --trust-pickle {path}",
        )
    import joblib

    try:
        return joblib.load(path)
    except Exception as error:  # code in the file may raise any error
        lacks_code = isinstance(error, ImportError | AttributeError)
        hint = IMPORT_HINT if lacks_code else "use the versions of scikit-learn and joblib that wrote it"
        raise DataError(f"the file cannot be loaded: {first_line(error)}", where, hint) from error


def _texts(codes: NDArray[Any], column: Column) -> NDArray[Any]:
    """Return the category of each code ``[B]``, NaN if missing; numbers if all categories are numbers."""
    try:
        names: list[Any] = [float(name) for name in column.categories]
    except ValueError:
        names = list(column.categories)
    # code -1, missing, selects the first entry
    table: NDArray[Any] = np.array([np.nan, *names], dtype=object)
    texts: NDArray[Any] = table[np.nan_to_num(codes, nan=-1).astype(np.int64) + 1]
    return texts.astype(np.float64) if isinstance(names[0], float) else texts


def to_frame(columns: dict[str, NDArray[Any]]) -> Any:
    """Return named columns as a pandas data frame if pandas is installed, else as a pyarrow table."""
    if importlib.util.find_spec("pandas"):
        return importlib.import_module("pandas").DataFrame(columns)
    arrow = importlib.import_module("pyarrow")
    return arrow.table({name: arrow.array(part, from_pandas=True) for name, part in columns.items()})


def _kind(estimator: Any) -> str:
    last = estimator[-1] if hasattr(estimator, "steps") else estimator
    return type(last).__name__
