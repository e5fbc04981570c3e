"""Provider `sklearn`: outputs of fitted estimators, and untrusted or damaged files."""

from __future__ import annotations

import importlib.util
import os
import pickle
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import skops.io
import torch
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_selection import SelectKBest, mutual_info_classif
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.gaussian_process.kernels import RBF
from sklearn.impute import SimpleImputer
from sklearn.linear_model import BayesianRidge, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, KFold, TunedThresholdClassifierCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC

from mtkd_cli.errors import DataError
from mtkd_cli.interfaces import Column, Model, ModelRequest
from mtkd_teachers.sklearn import SklearnProvider, to_frame

NUMBERS = (Column("age"), Column("size"), Column("rooms"))
DRAW = np.random.default_rng(0)
ROWS = DRAW.normal(size=(60, 3)).astype(np.float32)
VALUES = ROWS @ [1.0, -2.0, 0.5] + 3
KINDS = np.where(VALUES > 3, "dear", "cheap")


def teacher(estimator: Any, columns: tuple[Column, ...] = NUMBERS, outputs: int = 1) -> Model:
    skops.io.dump(estimator, "t.skops")
    return SklearnProvider().build(ModelRequest("t.skops", len(columns), 1, outputs, True, columns))


@pytest.mark.parametrize(
    "regressor",
    [
        make_pipeline(StandardScaler(), Ridge()),
        RandomForestRegressor(5, random_state=0),
        GradientBoostingRegressor(n_estimators=5, random_state=0),
    ],
    ids=["pipeline", "forest", "boosted"],
)
def test_regressor_returns_values(regressor: Any) -> None:
    regressor.fit(ROWS, VALUES)
    model = teacher(regressor)
    answer = model.module(torch.from_numpy(ROWS))
    np.testing.assert_allclose(answer.numpy(), regressor.predict(ROWS), rtol=1e-5)
    assert model.trained
    assert model.input.raw
    assert not list(model.module.parameters())


@pytest.mark.parametrize(
    "classifier",
    [LogisticRegression(), HistGradientBoostingClassifier(max_iter=5, random_state=0)],
    ids=["linear", "histograms"],
)
def test_classifier_returns_log_probabilities(classifier: Any) -> None:
    classifier.fit(ROWS, KINDS)
    model = teacher(classifier, outputs=2)
    assert model.classes == ("cheap", "dear")
    answer = model.module(torch.from_numpy(ROWS))
    np.testing.assert_allclose(answer.exp().numpy(), classifier.predict_proba(ROWS), atol=1e-6)


def test_returns_variances_if_task_needs_them() -> None:
    for regressor in (BayesianRidge(), make_pipeline(StandardScaler(), BayesianRidge())):
        regressor.fit(ROWS, VALUES)
        mean, deviation = regressor.predict(ROWS, return_std=True)
        answer = teacher(regressor, outputs=2).module(torch.from_numpy(ROWS))
        np.testing.assert_allclose(answer[0].numpy(), mean, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(answer[1].numpy(), deviation**2, rtol=1e-4, atol=1e-6)
        assert isinstance(teacher(regressor).module(torch.from_numpy(ROWS)), torch.Tensor)


COLUMNS = (Column("rooms", ("2", "3")), Column("left over"), Column("town", ("Bern", "Chur")), Column("age"))
MIXED = np.array([[0, 9, 0, 10], [1, 9, 1, np.nan], [1, 9, np.nan, 30]], dtype=np.float32)


def pipeline() -> tuple[Any, Any]:
    """Return a pipeline that was fitted on named columns with texts and missing values, and its table."""
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    parts = [("n", numbers, ["age", "rooms"]), ("c", OneHotEncoder(handle_unknown="ignore"), ["town"])]
    table = {"age": [10.0, np.nan, 30.0], "town": ["Bern", "Chur", np.nan], "rooms": [2.0, 3.0, 3.0]}
    frame = to_frame(
        {name: np.array(part, dtype=object if name == "town" else float) for name, part in table.items()}
    )
    return make_pipeline(ColumnTransformer(parts), Ridge()).fit(frame, [1.0, 2.0, 4.0]), frame


@pytest.mark.parametrize("hidden", ["nothing", "pandas"])
def test_matches_columns_by_name(hidden: str, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == hidden else find(name))
    fitted, frame = pipeline()
    answer = teacher(fitted, COLUMNS).module(torch.from_numpy(MIXED))
    np.testing.assert_allclose(answer.numpy(), fitted.predict(frame), rtol=1e-5)


@pytest.mark.parametrize(
    ("estimator", "columns", "message"),
    [
        (LinearSVC().fit(ROWS, KINDS), NUMBERS, "LinearSVC has no predict_proba"),
        (Ridge().fit(ROWS, VALUES), NUMBERS[:2], "fitted on 3 columns, but the data has 2"),
        (StandardScaler().fit(ROWS), NUMBERS, "StandardScaler has no predict"),
    ],
)
def test_rejects_unsupported_estimators(estimator: Any, columns: tuple[Column, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        teacher(estimator, columns)


def test_rejects_missing_column() -> None:
    with pytest.raises(DataError, match="column 'town', which the data does not have"):
        teacher(pipeline()[0], (*COLUMNS[:2], Column("towns", ("Bern", "Chur")), COLUMNS[3]))


class Mine(Ridge):
    """A type that skops does not trust."""


def test_rejects_untrusted_types() -> None:
    with pytest.raises(DataError, match=r"types that are not trusted: .*Mine"):
        teacher(Mine().fit(ROWS, VALUES))
    evil = make_pipeline(FunctionTransformer(), Ridge()).fit(ROWS, VALUES)
    evil[0].func = os.system
    with pytest.raises(DataError, match=r"types that are not trusted: .*system"):
        teacher(evil)


@pytest.mark.parametrize(
    "classifier",
    [
        MLPClassifier((4,), max_iter=5, random_state=0),
        MLPClassifier((4,), solver="sgd", max_iter=5, random_state=0),
        CalibratedClassifierCV(LinearSVC()),
        GaussianProcessClassifier(1.0 * RBF()),
        StackingClassifier([("a", LogisticRegression()), ("b", RandomForestClassifier(3, random_state=0))]),
        VotingClassifier([("a", LogisticRegression())], voting="soft"),
        GridSearchCV(LogisticRegression(), {"C": [0.1, 1]}, scoring="roc_auc", cv=KFold(2)),
        TunedThresholdClassifierCV(LogisticRegression()),
        make_pipeline(SelectKBest(mutual_info_classif, k=2), LogisticRegression()),
        KNeighborsClassifier(algorithm="brute"),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
@pytest.mark.filterwarnings("ignore")
def test_loads_estimators_with_private_types(classifier: Any) -> None:
    classifier.fit(ROWS, KINDS)
    answer = teacher(classifier, outputs=2).module(torch.from_numpy(ROWS))
    expected = classifier.predict_proba(ROWS.astype(np.float64))
    np.testing.assert_allclose(answer.exp().numpy(), np.clip(expected, 1e-12, None), rtol=1e-9)


def test_names_what_to_use_instead_of_neighbor_trees() -> None:
    with pytest.raises(DataError, match="KDTree") as error:
        teacher(KNeighborsClassifier(algorithm="kd_tree").fit(ROWS, KINDS))
    assert "algorithm='brute'" in error.value.hint
    assert "--trust-pickle t.skops" in error.value.hint


class Marked(Ridge):
    """Leaves a marker when it is unpickled."""

    def __reduce__(self) -> Any:
        return _unpickle, (self.coef_, self.intercept_)


def _unpickle(coef: Any, intercept: Any) -> Ridge:
    Path("marker").touch()
    ridge = Ridge()
    ridge.coef_, ridge.intercept_, ridge.n_features_in_ = coef, intercept, len(coef)
    return ridge


def trusted(path: str) -> ModelRequest:
    return ModelRequest(path, 3, 1, 1, True, NUMBERS, trusted=frozenset({Path(path).resolve()}))


def test_a_trusted_skops_file_may_contain_any_type() -> None:
    mine = Mine().fit(ROWS, VALUES)
    skops.io.dump(mine, "t.skops")
    answer = SklearnProvider().build(trusted("t.skops")).module(torch.from_numpy(ROWS))
    np.testing.assert_array_equal(answer.numpy(), mine.predict(ROWS.astype(np.float64)))


@pytest.mark.parametrize("write", [joblib.dump, lambda e, path: Path(path).write_bytes(pickle.dumps(e))])
def test_a_joblib_or_pickle_file_is_loaded_only_if_trusted(write: Any) -> None:
    fitted = Marked().fit(ROWS, VALUES)
    write(fitted, "t.joblib")
    with pytest.raises(DataError, match="not a skops file") as error:
        SklearnProvider().build(ModelRequest("t.joblib", 3, 1, 1, True, NUMBERS))
    assert "--trust-pickle t.joblib" in error.value.hint
    assert not Path("marker").exists()
    answer = SklearnProvider().build(trusted("t.joblib")).module(torch.from_numpy(ROWS))
    np.testing.assert_array_equal(answer.numpy(), fitted.predict(ROWS.astype(np.float64)))
    assert Path("marker").exists()


def test_rejects_pickle_and_damaged_file() -> None:
    for content in (pickle.dumps(Ridge()), b"", b"PK\x03\x04 cut"):
        Path("t.skops").write_bytes(content)
        with pytest.raises(DataError, match="not a skops file"):
            SklearnProvider().build(ModelRequest("t.skops", 3, 1, 1, True))
    with pytest.raises(DataError, match="the file cannot be loaded"):
        SklearnProvider().build(trusted("t.skops"))
    with pytest.raises(DataError, match=r"no file gone\.skops"):
        SklearnProvider().files("gone.skops")


def test_a_trusted_file_with_an_invalid_tree_is_rejected() -> None:
    forest = RandomForestRegressor(2, random_state=0).fit(ROWS, VALUES)
    state = forest.estimators_[1].tree_.__getstate__()
    state["nodes"]["feature"][0] = 3
    forest.estimators_[1].tree_.__setstate__(state)
    joblib.dump(forest, "t.joblib")
    with pytest.raises(DataError, match="a tree node has an invalid index"):
        SklearnProvider().build(trusted("t.joblib"))


@pytest.mark.parametrize(("field", "value"), [("left_child", 10**6), ("right_child", 0), ("feature", 3)])
def test_rejects_tree_with_invalid_indices(field: str, value: int) -> None:
    forest = RandomForestRegressor(2, random_state=0).fit(ROWS, VALUES)
    tree = forest.estimators_[1].tree_
    state = tree.__getstate__()
    state["nodes"][field][0] = value
    tree.__setstate__(state)
    with pytest.raises(DataError, match="a tree node has an invalid index"):
        teacher(forest)


def test_rejects_boosted_tree_with_invalid_indices() -> None:
    boosted = HistGradientBoostingClassifier(max_iter=2, random_state=0).fit(ROWS, KINDS)
    boosted._predictors[1][0].nodes["right"][0] = 10**6
    with pytest.raises(DataError, match="a tree node has an invalid index"):
        teacher(boosted)
