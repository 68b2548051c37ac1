"""The nearest rows of a table: against all of them compared at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import c3d_viz as viz
from c3d_viz.corpus import Neighbour
from c3d_viz.errors import ExportError, ShapeError, VizError

ROWS = np.random.default_rng(0).normal(size=(5000, 6)).astype(np.float32)
ROWS[17] = 0  # has no direction
ROWS[40] = ROWS[4000] = (1, 2, 3, 4, 5, 6)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("table") / "windows.parquet"
    columns = {
        "path": pa.array([f"v{i // 100}.mp4" for i in range(len(ROWS))]),
        "sha256": pa.array([f"{i // 100:064x}" for i in range(len(ROWS))]),
        "start": pa.array(range(len(ROWS)), pa.int64()),
        "vector": pa.array(ROWS.tolist(), pa.list_(pa.float32(), 6)),
    }
    pq.write_table(pa.table(columns), path, row_group_size=700)
    return path


def test_against_all_at_once(table: Path) -> None:
    asked = np.random.default_rng(1).normal(size=(3, 6)).astype(np.float32)
    found = viz.search(table, asked, 20)
    norm = np.maximum(np.linalg.norm(ROWS, axis=1, keepdims=True), 1e-30)
    cosine = (ROWS / norm) @ (asked / np.linalg.norm(asked, axis=1, keepdims=True)).T
    best = cosine.max(axis=1)
    order = np.argsort(-best, kind="stable")[:20]
    assert [n.start for n in found] == order.tolist()
    np.testing.assert_allclose([n.cosine for n in found], best[order], atol=1e-6)
    assert [n.query for n in found] == cosine[order].argmax(axis=1).tolist()
    assert {n.path for n in found} == {f"v{i // 100}.mp4" for i in order}


def test_equal_rows_come_in_the_order_of_the_table(table: Path) -> None:
    first, second, third = viz.search(table, ROWS[40], 3)
    assert first == Neighbour(pytest.approx(1), "v0.mp4", f"{0:064x}", 40, 0)
    assert (second.start, second.path) == (4000, "v40.mp4")
    assert third.cosine < 1
    own = [viz.search(table, row, 1)[0].cosine for row in ROWS[100:130]]
    assert max(own) <= 1  # float32 may round a product of two directions to more


def test_one_line_for_what_is_wrong(table: Path, tmp_path: Path) -> None:
    with pytest.raises(ShapeError, match="has vectors of 6 numbers and was asked with 5"):
        viz.search(table, ROWS[0, :5])
    with pytest.raises(VizError, match="k must be 1 to"):
        viz.search(table, ROWS[0], 0)
    with pytest.raises(ExportError, match="missing, or no ordinary file"):
        viz.search(tmp_path / "none.parquet", ROWS[0])
    pq.write_table(pa.table({"path": ["a"]}), tmp_path / "other.parquet")
    with pytest.raises(ExportError, match="is no table of features"):
        viz.search(tmp_path / "other.parquet", ROWS[0])
    twice = pa.Table.from_arrays([pa.array(["a"])] * 2, names=["path", "path"])
    pq.write_table(twice, tmp_path / "twice.parquet")
    with pytest.raises(ExportError, match="is no table of features"):
        viz.search(tmp_path / "twice.parquet", ROWS[0])
    pq.write_table(pq.read_table(table).drop_columns(["vector"]), tmp_path / "no.parquet")
    with pytest.raises(ExportError, match="is no table of features"):
        viz.search(tmp_path / "no.parquet", ROWS[0])
    whole = pq.read_table(table)
    nameless = pa.array([None] * len(whole), pa.string())
    pq.write_table(whole.set_column(0, "path", nameless), tmp_path / "nameless.parquet")
    with pytest.raises(ExportError, match="has rows without a value; make it again"):
        viz.search(tmp_path / "nameless.parquet", ROWS[0])
    for spoilt in (np.nan, np.inf):
        values = ROWS.copy()
        values[-1, 3] = spoilt
        rows = pa.array(values.tolist(), pa.list_(pa.float32(), 6))
        pq.write_table(whole.set_column(3, "vector", rows), tmp_path / "spoilt.parquet")
        with pytest.raises(ExportError, match="has vectors with NaN or infinity; make it again"):
            viz.search(tmp_path / "spoilt.parquet", ROWS[0])
    (tmp_path / "a.txt").write_text("path,vector\n")
    with pytest.raises(ExportError, match=r"a.txt is no Parquet file, as c3d-viz features makes"):
        viz.search(tmp_path / "a.txt", ROWS[0])
    cut = tmp_path / "cut.parquet"
    cut.write_bytes(table.read_bytes()[:-100])
    with pytest.raises(ExportError, match="cannot be read"):
        viz.search(cut, ROWS[0])


@pytest.mark.parametrize(
    ("vectors", "said"),
    [
        (np.zeros(6), "a vector of zeros has no direction"),
        (np.zeros((2, 6)), "a vector of zeros has no direction"),
        (np.full((1, 6), np.nan), "^vectors hold NaN or infinity; check the clip"),
        (np.full(6, 1e300), "^vectors hold NaN or infinity; check the clip"),
        (np.zeros((1, 1, 6)), r"got shape \(1, 1, 6\)"),
        ([], r"got shape \(1, 0\)"),
        (["1"] * 6, "numbers, got list"),
        (ROWS[0] * 1j, "numbers, got ndarray"),
        (ROWS[0] > 0, "numbers, got ndarray"),
        (None, "numbers, got NoneType"),
        ([[1, 2], [3]], "numbers, got list"),
    ],
)
def test_vectors_that_nothing_is_near_to(table: Path, vectors: object, said: str) -> None:
    with pytest.raises(ShapeError, match=said):
        viz.search(table, vectors)  # type: ignore[arg-type]


def test_zeros_among_vectors_are_like_nothing(table: Path) -> None:
    """Else they would be nearer, with 0, than any vector that points elsewhere."""
    asked = np.stack([np.zeros(6, np.float32), ROWS[40]])
    both, alone = viz.search(table, asked, 5000), viz.search(table, ROWS[40], 5000)
    assert [(n.cosine, n.start) for n in both] == [(n.cosine, n.start) for n in alone]
    assert {n.query for n in both} == {1}
    assert both[-1].cosine < -0.9
    assert next(n.cosine for n in both if n.start == 17) == 0
