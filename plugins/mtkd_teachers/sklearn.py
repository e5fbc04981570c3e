"""Fitted scikit-learn estimators and pipelines from skops files: ``sklearn:forest.skops``.

No pickle: skops builds known types only, and trees are checked before they are used.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mtkd_cli.errors import DataError, join_first, missing_path, nearest
from mtkd_cli.interfaces import Column, InputSpec, Model, ModelRequest
from mtkd_cli.safe_loading.decompression_limits import refuse_bomb
from mtkd_cli.safe_loading.optional_imports import need
from mtkd_teachers.tree_validation import TREES, unsound

HARMLESS = (*TREES, "numpy.dtype")
"""Types that skops does not take by itself: trees, which are checked here, and what an imputer remembers."""

TINY = 1e-12
"""Smallest probability that has a logarithm."""


class SklearnProvider:
    """Classifiers answer log-probabilities of their classes, regressors values.

    They get the table's columns as they are: categories as texts, missing values as NaN, in the order
    of the columns that they were fitted on if they know their names.
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
        estimator = load(path, where)
        if not hasattr(estimator, "predict"):
            raise DataError(
                f"a {type(estimator).__name__} predicts nothing", where, "save the whole pipeline"
            )
        columns = request.columns or tuple(Column(str(i)) for i in range(request.channels))
        module = Estimator(estimator, columns, request.outputs, where)
        classes = tuple(map(str, estimator.classes_)) if module.classifies else None
        spec = InputSpec(size=1, channels=request.channels, raw=True)
        return Model(module, spec, classes=classes, trained=True, channels_last=False)


class Estimator(nn.Module):
    """Asks an estimator: a table's rows ``[B, F]`` in, ``[B, C]`` or ``[B, T]`` out.

    Args:
        estimator: fitted.
        columns: the table's.
        outputs: number of outputs that the task needs; twice the values asks for variances too.
        where: for messages.
    """

    def __init__(self, estimator: Any, columns: tuple[Column, ...], outputs: int, where: str) -> None:
        super().__init__()
        self.estimator, self.columns, self.outputs, self.where = estimator, columns, outputs, where
        self.classifies = hasattr(estimator, "classes_")
        if self.classifies and not hasattr(estimator, "predict_proba"):
            raise DataError(
                f"a {_kind(estimator)} gives no probabilities",
                where,
                "wrap it in CalibratedClassifierCV and fit it",
            )
        self.named = hasattr(estimator, "feature_names_in_")
        self.places = self._places()

    def forward(self, rows: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Return log-probabilities or values; a pair (mean, variance) where the task asks for it."""
        table = self._table(rows.cpu().numpy())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about names of columns and versions
            answer = self._answer(table)
        parts = [torch.from_numpy(np.asarray(part, dtype=np.float64)).to(rows.device) for part in answer]
        return parts[0] if len(parts) == 1 else (parts[0], parts[1])

    def _answer(self, table: Any) -> list[NDArray[Any]]:
        if self.classifies:
            shares = self.estimator.predict_proba(table)
            if isinstance(shares, list):
                raise DataError(
                    f"a {_kind(self.estimator)} answers several labels", self.where, "save one each"
                )
            return [np.log(np.clip(shares, TINY, None))]
        last = self.estimator[-1] if hasattr(self.estimator, "steps") else self.estimator
        if self.outputs % 2 == 0 and "return_std" in inspect.signature(last.predict).parameters:
            mean, deviation = self.estimator.predict(table, return_std=True)
            if 2 * (1 if np.ndim(mean) == 1 else np.shape(mean)[1]) == self.outputs:
                return [mean, np.square(deviation)]
            return [mean]
        return [self.estimator.predict(table)]

    def _places(self) -> list[int]:
        """Return which of the table's columns the estimator was fitted on, in its order."""
        own = [column.name for column in self.columns]
        if not self.named:
            wanted = getattr(self.estimator, "n_features_in_", len(own))
            if wanted != len(own):
                raise DataError(
                    f"it was fitted on {wanted} columns, the data has {len(own)}",
                    where=self.where,
                    hint="leave the others out with data.ignore, or fit it on a table with named columns",
                )
            return list(range(len(own)))
        names = [str(name) for name in self.estimator.feature_names_in_]
        for name in names:
            if name not in own:
                raise DataError(
                    f"it was fitted on a column {name!r} that the data has not",
                    where=self.where,
                    hint=nearest(name, own) or f"the data has {join_first(own)}",
                )
        return [own.index(name) for name in names]

    def _table(self, rows: NDArray[Any]) -> Any:
        """Return rows as the estimator was fitted on: a data frame if it knows names, else an array."""
        chosen = [self.columns[place] for place in self.places]
        if not any(column.categories for column in chosen) and not self.named:
            return rows.astype(np.float64)
        parts = [
            _texts(rows[:, p], self.columns[p])
            if self.columns[p].categories
            else rows[:, p].astype(np.float64)
            for p in self.places
        ]
        if self.named:
            return frame_of({column.name: part for column, part in zip(chosen, parts, strict=True)})
        return np.stack([part.astype(object) for part in parts], axis=1)


def load(path: Path, where: str) -> Any:
    """Return the estimator in a skops file.

    Raises:
        DataError: skops is not there, the file holds types that are not known, or it is damaged.
    """
    need("skops", "tabular", where)
    import skops.io

    refuse_bomb(path)
    try:
        content = path.read_bytes()
        unknown = [name for name in skops.io.get_untrusted_types(data=content) if name not in HARMLESS]
        if unknown:
            raise DataError(
                f"the file holds types that are not known to be harmless: {', '.join(unknown)}",
                where=where,
                hint="build the estimator of scikit-learn's own parts and save it with skops.io.dump",
            )
        estimator = skops.io.loads(content, trusted=list(HARMLESS))
    except DataError:
        raise
    except Exception as error:  # a damaged or foreign file raises almost anything
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise DataError(f"no skops file: {reason}", where, "save it with skops.io.dump") from error
    if what := unsound(estimator):
        raise DataError(f"the file is damaged or made up: {what}", where, "save it again")
    return estimator


def _texts(codes: NDArray[Any], column: Column) -> NDArray[Any]:
    """Return the categories of codes, NaN where missing; numbers where all of them are numbers."""
    try:
        names: list[Any] = [float(name) for name in column.categories]
    except ValueError:
        names = list(column.categories)
    table: NDArray[Any] = np.array([np.nan, *names], dtype=object)
    found: NDArray[Any] = table[np.nan_to_num(codes, nan=-1).astype(np.int64) + 1]
    return found.astype(np.float64) if isinstance(names[0], float) else found


def frame_of(columns: dict[str, NDArray[Any]]) -> Any:
    """Return named columns as scikit-learn knows them: of pandas where it is there, else of pyarrow."""
    if importlib.util.find_spec("pandas"):
        return importlib.import_module("pandas").DataFrame(columns)
    arrow = importlib.import_module("pyarrow")
    return arrow.table({name: arrow.array(part, from_pandas=True) for name, part in columns.items()})


def _kind(estimator: Any) -> str:
    last = estimator[-1] if hasattr(estimator, "steps") else estimator
    return type(last).__name__
