"""Provider `predictions`: CSV, NPZ and Parquet files, and errors in them; nothing is unpickled."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from mtkd_cli.errors import DataError
from mtkd_cli.interfaces import Model, ModelRequest
from mtkd_cli.plugin.registry import Registry
from mtkd_cli.testing import NotCheckedError, check
from mtkd_teachers.predictions import PredictionsProvider

IDS = ["a/1.png", "a/2.png", "b/1.png"]
ROWS = np.array([[0.1, 0.9], [0.25, 0.75], [1 / 3, 2 / 3]], dtype=np.float32)
CSV = "id,cat,dog\n" + "".join(
    f"{key},{cat!r},{dog!r}\n" for key, (cat, dog) in zip(IDS, ROWS.tolist(), strict=True)
)


def read(name: str) -> Model:
    return PredictionsProvider().build(ModelRequest(name, 3, 8, 2, True))


def write(text: str) -> str:
    Path("p.csv").write_text(text)
    return "p.csv"


def savez(**arrays: Any) -> str:
    np.savez("p.npz", **arrays)
    return "p.npz"


def to_parquet(**columns: Any) -> str:
    pyarrow.parquet.write_table(pyarrow.table(columns), "p.parquet")
    return "p.parquet"


@pytest.mark.parametrize(
    "make",
    [
        lambda: write(CSV),
        lambda: savez(ids=IDS, predictions=ROWS, classes=["cat", "dog"]),
        lambda: savez(
            ids=np.array(IDS, "S"), predictions=ROWS.astype("f8"), classes=np.array(["cat", "dog"], "S")
        ),
        lambda: to_parquet(cat=ROWS[:, 0], dog=ROWS[:, 1].astype("f8"), id=IDS),
    ],
    ids=["csv", "npz", "npz of bytes", "parquet"],
)
def test_reads_all_formats(make: Any) -> None:
    model = read(make())
    found = model.predictions
    assert found is not None
    assert found.keys == tuple(IDS)
    assert model.classes == ("cat", "dog")
    assert model.trained
    assert found.rows.dtype in (np.float32, np.float64)
    np.testing.assert_array_equal(found.rows, ROWS)


def test_first_column_is_default_id() -> None:
    for text in (CSV.replace("id,", "picture,"), "cat,id,dog\n0.1,x,0.9\n"):
        assert read(write(text)).classes == ("cat", "dog")


def test_accepts_numeric_ids_and_one_dimension() -> None:
    model = read(savez(ids=[3, 4], predictions=[0.5, 2.0]))
    assert model.predictions is not None
    assert model.predictions.keys == ("3", "4")
    assert model.predictions.rows.tolist() == [[0.5], [2.0]]
    assert model.classes is None


def test_empty_cell_is_nan_and_overflow_is_infinite() -> None:
    found = read(write("id,cat,dog\nx,,NaN\ny,1e300,0\n")).predictions
    assert found is not None
    assert np.isnan(found.rows[0]).all()
    assert found.rows[1].tolist() == [np.inf, 0]
    assert list(found.lines) == [2, 3]


def test_reads_thousands_where_decimals_decide() -> None:
    found = read(write("id;price\nx;1.234,5\ny;1.234\n")).predictions
    assert found is not None
    assert found.rows.tolist() == [[1234.5], [1234]]


@pytest.mark.parametrize(
    ("separator", "comma"), [(",", False), (";", False), (";", True), ("\t", False), ("\t", True)]
)
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_reads_other_separators_and_decimal_commas(
    separator: str, comma: bool, mark: str, newline: str
) -> None:
    text = CSV.replace(",", separator).replace(".", "," if comma else ".").replace("\n", newline)
    text = text.replace(",png", ".png")
    Path("p.csv").write_bytes((mark + text).encode())
    model = read("p.csv")
    assert model.classes == ("cat", "dog")
    assert model.predictions is not None
    assert model.predictions.keys == tuple(IDS)
    np.testing.assert_array_equal(model.predictions.rows, ROWS)


def test_a_comma_in_a_name_is_not_a_separator() -> None:
    model = read(write('id;cat, or kitten;dog\n"a,1.png";0,25;0,75\n'))
    assert model.classes == ("cat, or kitten", "dog")
    assert model.predictions is not None
    assert model.predictions.keys == ("a,1.png",)
    assert model.predictions.rows.tolist() == [[0.25, 0.75]]


@pytest.mark.parametrize(
    ("text", "what", "where"),
    [
        ("", "the file has 0 columns", "p.csv"),
        ("id,cat,dog\n", "the file has no predictions", "p.csv"),
        ("id;cat;dog\nx;1;2\ny;1\n", "the row has 2 cells for 3 headings", "p.csv, row 3"),
        ("id:cat:dog\nx:1:2\n", "the file has 1 columns", "p.csv"),
        (
            "id;cat;dog\nx;0,5;0.5\n",
            "points ('0.5' in row 2, column 'dog') and decimal commas ('0,5' in row 2, column 'cat')",
            "p.csv",
        ),
        ('id,cat,dog\nx,"1,234",2\n', "'1,234' may be 1.234 or 1234", "p.csv, row 2, column 'cat'"),
        ("id,cat,dog\nx,1,2\ny,1\n", "the row has 2 cells for 3 headings", "p.csv, row 3"),
        ("id,cat,dog\nx,1,2\ny,1,much\n", "'much' is not a number", "p.csv, row 3, column 'dog'"),
        ("id,cat,cat\nx,1,2\n", "duplicate column 'cat'", "p.csv"),
        ('id,cat,dog\nx,"1,2\n', "the row cannot be read", "p.csv, row 2"),
    ],
)
def test_rejects_invalid_csv(text: str, what: str, where: str) -> None:
    with pytest.raises(DataError) as caught:
        read(write(text))
    assert what in caught.value.what
    assert caught.value.where == where


@pytest.mark.parametrize(
    ("arrays", "what"),
    [
        ({"ids": IDS}, "no array 'predictions'"),
        ({"ids": IDS, "predictions": ROWS[:2]}, r"array 'predictions' is float32 of shape \(2, 2\)"),
        ({"ids": IDS, "predictions": ROWS.astype(str)}, "array 'predictions' is <U"),
        ({"ids": IDS, "predictions": ROWS[:, :0]}, r"array 'predictions' is float32 of shape \(3, 0\)"),
        ({"ids": ROWS, "predictions": ROWS}, "array 'ids' is float32"),
        ({"ids": [], "predictions": ROWS[:0]}, "array 'ids' is float64"),
    ],
)
def test_rejects_invalid_arrays(arrays: dict[str, Any], what: str) -> None:
    with pytest.raises(DataError, match=what):
        read(savez(**arrays))


def test_rejects_parquet_column_without_numbers() -> None:
    with pytest.raises(DataError, match="'x' is not a number"):
        read(to_parquet(id=IDS, cat=ROWS[:, 0], dog=["x", "y", "z"]))


class Bomb:
    def __reduce__(self) -> Any:
        return Path.touch, (Path("marker"),)


def test_never_unpickles() -> None:
    bomb = np.array([Bomb()] * 3, dtype=object)
    for arrays in ({"ids": IDS, "predictions": bomb}, {"ids": bomb, "predictions": ROWS}):
        with pytest.raises(DataError, match="the arrays cannot be read: "):
            read(savez(**arrays))
    inside = {"ids.npy": pickle.dumps(Bomb()), "predictions.npy": pickle.dumps(Bomb())}
    with zipfile.ZipFile("p.npz", "w") as file:
        for name, content in inside.items():
            file.writestr(name, content)
    with pytest.raises(DataError):
        read("p.npz")
    for name in ("p.npz", "p.csv", "p.parquet"):
        Path(name).write_bytes(pickle.dumps(Bomb()))
        with pytest.raises(DataError):
            read(name)
    assert not Path("marker").exists()


@pytest.mark.parametrize("name", ["p.csv", "p.npz", "p.parquet"])
def test_rejects_damaged_file(name: str) -> None:
    savez(ids=IDS, predictions=ROWS)
    to_parquet(id=IDS, cat=ROWS[:, 0])
    write(CSV + "\n")
    content = Path(name).read_bytes()
    for damaged in (content[:40] + b"\xff\xfe\x00" + content[40 : len(content) // 2], b"\xff"):
        Path(name).write_bytes(damaged)
        with pytest.raises(DataError) as caught:
            read(name)
        assert name in caught.value.where


def test_satisfies_provider_contract(registry: Registry) -> None:
    spec = registry.find("teachers", "predictions").spec
    assert check(spec, {"model": f"predictions:{write(CSV)}"})
    with pytest.raises(NotCheckedError):
        check(spec)


def test_rejects_missing_or_unknown_file() -> None:
    for name, what in (("gone.csv", r"no file gone\.csv"), ("p.pkl", "not a file of predictions")):
        with pytest.raises(DataError, match=what):
            read(name)
