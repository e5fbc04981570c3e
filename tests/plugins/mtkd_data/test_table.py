"""Data source `table`: columns, targets and splits, and errors in files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtkd_cli.errors import MtkdError
from mtkd_cli.interfaces import Column, SourceData, TableFormat
from mtkd_cli.plugin.registry import Registry
from mtkd_cli.recipe.resolve import check_options
from mtkd_cli.testing import cache_in

CSV = """\
name,age,town,rooms,price,kind
a,10,Bern,2,1.5,flat
b,,Chur,3,2.5,house
c,30,NA,2,,
"""


def load(text: str | None = CSV, task: str = "regression", **options: Any) -> SourceData:
    if text is not None:
        Path("t.csv").write_text(text)
    from mtkd_data.table import Table

    wanted = {
        "path": "t.csv",
        "target": ["price"],
        "unlabeled": None,
        "categorical": None,
        "ignore": ["kind", "name"],
        "id": None,
    }
    return Table(task, **(wanted | options)).load(cache_in(Path()))


def test_reads_numbers_categories_and_missing_values() -> None:
    found = load()
    assert found.classes == ("price",)
    assert found.columns == (Column("age"), Column("town", ("Bern", "Chur")), Column("rooms"))
    np.testing.assert_array_equal(found.train.inputs, [[10, 0, 2], [np.nan, 1, 3], [30, np.nan, 2]])
    np.testing.assert_array_equal(found.train.targets, [[1.5], [2.5], [np.nan]])
    assert found.train.ids == ("train-2", "train-3", "train-4"), "ids use the line numbers of the file"


def test_options_categorical_id_and_several_targets() -> None:
    found = load(target=["price", "age"], categorical=["rooms"], ignore=["kind"], id="name")
    assert found.columns == (Column("town", ("Bern", "Chur")), Column("rooms", ("2", "3")))
    assert found.train.ids == ("a", "b", "c")
    np.testing.assert_array_equal(found.train.targets, [[1.5, 10], [2.5, np.nan], [np.nan, 30]])


def test_classes_come_from_training_rows() -> None:
    found = load(task="classification", target=["kind"], ignore=["price", "name"])
    assert found.classes == ("flat", "house")
    assert found.train.targets.tolist() == [0, 1, -1]
    numbers = load("x,y\n1,10\n2,9\n3,10\n", task="classification", target=["y"], ignore=[])
    assert numbers.classes == ("9", "10")


def test_words_for_missing_values_are_no_labels() -> None:
    text = "x,y\n1,NA\n2,a\n3,-\n4,b\n5,\n6,None\n"
    found = load(text, task="classification", target=["y"], ignore=None)
    assert found.classes == ("a", "b")
    assert found.train.targets.tolist() == [-1, 0, -1, 1, -1, -1]
    kept = load(text, task="classification", target=["y"], ignore=None, missing=["NA", "-"])
    assert kept.classes == ("None", "a", "b")
    values = load("x,y\n1,NA\n2,0.5\n3,nan\n", target=["y"], ignore=None)
    np.testing.assert_array_equal(values.train.targets, [[np.nan], [0.5], [np.nan]])


def test_true_and_false_are_labels() -> None:
    text = "x,y\n1,True\n2,false\n3,\n4,1\n"
    found = load(text, task="multilabel", target=["y"], ignore=None)
    np.testing.assert_array_equal(found.train.targets, [[1], [0], [np.nan], [1]])
    assert load(text, task="classification", target=["y"], ignore=None).classes == ("1", "True", "false")


SPREADSHEET = """\ufeffsep=;\r
Fläche;Ort;Preis;\r
1.234,5;Bern;NA;\r
2,5;"Zürich; West";0,25;\r
-;;1.000;\r
;;;\r
"""


def test_reads_what_spreadsheets_write() -> None:
    Path("t.csv").write_text(SPREADSHEET, newline="")
    found = load(None, target=["Preis"], ignore=None)
    assert found.columns == (Column("Fläche"), Column("Ort", ("Bern", "Zürich; West")))
    np.testing.assert_array_equal(found.train.inputs, [[1234.5, 0], [2.5, 1], [np.nan, np.nan]])
    np.testing.assert_array_equal(found.train.targets, [[np.nan], [0.25], [1000]])
    assert found.train.ids == ("train-3", "train-4", "train-5")
    (note,) = found.notes
    for part in (
        *(
            "separated by ';'",
            "decimal commas",
            "thousands are separated by '.'",
            "missing values are written '-'",
        ),
        *("no label where column 'Preis' is 'NA' (1 row)", "categories: Ort", "1 row without any text"),
    ):
        assert part in note
    assert found.table == TableFormat(separator=";", decimal=",")


def test_says_nothing_about_plain_tables() -> None:
    assert load("x,price\n1.5,2\n,3\n", ignore=None).notes == ()


def test_numbers_of_ids_and_categories_do_not_decide_about_decimals() -> None:
    text = "i;zip;x;price\n1,5;1,5;0.5;1\n2,5;2,5;1;2\n"
    found = load(text, id="i", categorical=["zip"], ignore=None)
    assert found.columns == (Column("zip", ("1,5", "2,5")), Column("x"))
    with pytest.raises(MtkdError, match="decimal points"):
        load(text, ignore=["i"])


def test_split_files_and_unlabeled_rows() -> None:
    Path("d").mkdir()
    for name, rows in (("train", "1,u,5\n2,v,6\n"), ("valid", "3,u,7\n"), ("test", "4,v,8\n")):
        Path(f"d/{name}.csv").write_text("x,c,y\n" + rows)
    Path("more.csv").write_text("c,x\nw,9\n")
    found = load(None, path="d", target=["y"], ignore=None, unlabeled="more.csv")
    assert found.val is not None
    assert found.test is not None
    assert (found.val.targets.tolist(), found.test.targets.tolist()) == ([[7.0]], [[8.0]])
    np.testing.assert_array_equal(found.train.targets, [[5], [6], [np.nan]])
    np.testing.assert_array_equal(found.train.inputs, [[1, 0], [2, 1], [9, 2]])
    assert len({*found.train.ids, *found.val.ids, *found.test.ids}) == 5


def test_parquet_equals_csv() -> None:
    import pyarrow
    import pyarrow.parquet

    table = {
        "age": pyarrow.array([10, None, 30], pyarrow.int8()),
        "town": ["Bern", "Chur", None],
        "rooms": [2, 3, 2],
        "price": [1.5, 2.5, None],
    }
    pyarrow.parquet.write_table(pyarrow.table(table), "t.parquet")
    found, same = load(None, path="t.parquet", ignore=None), load()
    np.testing.assert_array_equal(found.train.inputs, same.train.inputs)
    np.testing.assert_array_equal(found.train.targets, same.train.targets)
    assert found.columns == same.columns


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ("x,price\n1,2\n2,inf\n", {}, "the target 'inf' is not a finite number|t.csv, row 3, column 'price'"),
        ("x,price\n1,2\n2,1e99\n", {}, "not a finite number|row 3"),
        ("x,price\n1,2\n1e400,3\n", {}, "'1e400' is not a finite number|row 3, column 'x'"),
        ("x,price\n1,2\n2,dear\n", {}, "the target 'dear' is not a number|row 3"),
        (
            "x,price\n1,2\n2,3\nlots,4\n",
            {},
            "1 of 3 cells is not a number, but most are: 'lots' (row 4)|row 4, column 'x'|data.missing",
        ),
        ("x,price\n1,2\n-inf,3\n", {}, "'-inf' is not a finite number|row 3, column 'x'"),
        ("x,price\n1,2\n1,2,3\n", {}, "the row has 3 cells for 2 headings|row 3"),
        ("x,x,price\n1,2,3\n", {}, "duplicate column 'x'|t.csv"),
        ("x,price\n", {}, "the table has no rows|t.csv"),
        ("price\n1\n", {}, "no input columns left|t.csv"),
        ("x,pryce\n1,2\n", {}, "no column 'price'|data.target|did you mean 'pryce'?"),
        ("x,price\n1,2\n", {"ignore": ["y"]}, "no column 'y'|data.ignore"),
        ("i,x,price\na,1,2\na,3,4\n", {"id": "i"}, "duplicate sample id 'a'|row 3"),
        ("i,x,price\n,1,2\n", {"id": "i"}, "no sample id|row 2, column 'i'"),
        ("x;price\n1.234;2\n", {}, "'1.234' may be 1.234 or 1234|row 2, column 'x'|data.decimal"),
        ("x,price\n2024-01-31,2\n", {}, "dates or times|column 'x'|data.ignore"),
        ("x,price\n1,2\n", {"separator": ";;"}, "invalid separator ';;'|data.separator"),
        (None, {"path": "gone.csv"}, "no file gone.csv"),
        (None, {"path": "t.txt"}, "no file t.txt"),
    ],
)
def test_rejects_invalid_table(text: str | None, options: dict[str, Any], expected: str) -> None:
    with pytest.raises(MtkdError) as caught:
        load(text, **{"ignore": None, **options})
    message = "\n".join([caught.value.what, caught.value.where, caught.value.hint])
    assert all(part in message for part in expected.split("|")), message


def test_rejects_category_missing_from_training_rows() -> None:
    Path("d").mkdir()
    Path("d/train.csv").write_text("c,y\nred,1\nblue,2\n")
    Path("d/test.csv").write_text("c,y\nblue,1\nblu,2\n")
    with pytest.raises(MtkdError) as caught:
        load(None, path="d", target=["y"], ignore=None)
    assert (caught.value.what, caught.value.where, caught.value.hint) == (
        "'blu' is not in the training data",
        "d/test.csv, row 3, column 'c'",
        "did you mean 'blue'?",
    )


def test_accepts_single_target_column(registry: Registry) -> None:
    known = registry.find("data", "table").spec.options
    options, wrong = check_options({"path": "t.csv", "target": "price"}, known, "r: data")
    assert not wrong
    assert options["target"] == ["price"]
