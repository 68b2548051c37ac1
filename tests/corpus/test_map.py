"""A map of videos: neighbours and classifier against what is known, the page, what is refused."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import call
from video_files import colour_noise

from c3d_viz.corpus import write_map
from c3d_viz.corpus.map import classify, read_table
from c3d_viz.errors import ExportError, VizError

needs_sklearn = pytest.mark.skipif(
    __import__("importlib.util").util.find_spec("sklearn") is None,
    reason="scikit-learn is not installed: pip install -e '.[dev]'",
)


def write_table(path: Path, paths: list[str], vectors: np.ndarray, **more: pa.Array) -> Path:
    columns = {
        "path": pa.array(paths),
        "sha256": pa.array(["0" * 64] * len(paths)),
        **more,
        "vector": pa.array(vectors.tolist(), pa.list_(pa.float32(), vectors.shape[1])),
    }
    about = {"c3d_viz": json.dumps({"layer": "fc6", "weights": "made"})}
    pq.write_table(pa.table(columns).replace_schema_metadata(about), path)
    return path


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory, make_video: Callable[..., Path]) -> Path:
    """Three classes of eight videos, far from each other; one of them can be read."""
    folder = tmp_path_factory.mktemp("map")
    rng = np.random.default_rng(0)
    vectors = np.repeat(np.eye(3, 10), 8, axis=0) + rng.normal(0, 0.1, (24, 10))
    names = [f"{folder}/{'abc'[i // 8]}/{i:02d}.mp4" for i in range(24)]
    (folder / "a").mkdir()
    make_video(Path(names[3]), colour_noise(3, 32, 48))
    return write_table(folder / "f.parquet", names, vectors)


@needs_sklearn
def test_places_and_neighbours(table: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int, str]] = []
    report = write_map(table, tmp_path / "out", k=4, progress=lambda *step: told.append(step))
    vectors = read_table(table).vectors.astype(float)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    cosine = vectors @ vectors.T
    np.fill_diagonal(cosine, -2)
    made = report.arranged
    assert made.nearest.tolist() == np.argsort(-cosine, axis=1)[:, :4].tolist()
    np.testing.assert_allclose(made.cosine, -np.sort(-cosine, axis=1)[:, :4], atol=1e-6)
    centred = vectors - vectors.mean(axis=0)
    spectrum = np.linalg.svd(centred, compute_uv=False) ** 2
    np.testing.assert_allclose(made.variance, spectrum[:2] / spectrum.sum(), rtol=1e-4)
    assert made.tsne is not None
    for flat in (made.pca, made.tsne):
        middles = np.stack([flat[8 * i : 8 * i + 8].mean(axis=0) for i in range(3)])
        apart = np.linalg.norm(flat[:, None] - middles, axis=2).argmin(axis=1)
        assert apart.tolist() == [i // 8 for i in range(24)]
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "index.html", "map.json", "map.png", "thumbs",
    ]  # fmt: skip
    assert [p.name for p in (tmp_path / "out" / "thumbs").iterdir()] == ["00003.jpg"]
    page = report.page.read_text()
    assert page.count('src="thumbs/00003.jpg"') == 1 + (made.nearest == 3).sum()
    stored = json.loads((tmp_path / "out" / "map.json").read_text())
    assert stored["videos"][5]["nearest"][0]["path"].endswith(f"{made.nearest[5, 0]:02d}.mp4")
    assert told[-1][:2] == (24, 24)


@needs_sklearn
def test_equal_tables_give_equal_bytes(table: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_map(table, tmp_path / name, classes=True)
    for file in ("index.html", "map.json", "map.png"):
        one, two = ((tmp_path / name / file).read_bytes() for name in ("one", "two"))
        assert one == two


@needs_sklearn
def test_the_classifier_is_not_told_by_the_group(tmp_path: Path) -> None:
    """Clips cut from one video are alike whatever their class: they must not be on both sides."""
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(40), 5)
    vectors = rng.normal(size=(40, 200))[groups] + rng.normal(0, 0.01, (200, 200))
    label = rng.permutation(np.arange(40) % 2)[groups]
    names = [f"x/{'ab'[label[i]]}/v_g{groups[i]:02d}_c{i % 5:02d}.avi" for i in range(200)]
    table = read_table(write_table(tmp_path / "f.parquet", names, vectors))
    grouped, each = classify(table), classify(table, "never matches")
    assert (grouped.groups, each.groups) == (40, 200)
    assert each.accuracy > 0.95
    assert grouped.accuracy < 0.75
    assert grouped.classes == {"a": 100, "b": 100}
    assert len(grouped.wrong) == round(200 * (1 - grouped.accuracy))
    assert all(f"/{right}/" in path and right != said for path, right, said in grouped.wrong)


@needs_sklearn
def test_the_command(capsys: pytest.CaptureFixture[str], table: Path, tmp_path: Path) -> None:
    words = ["map", str(table), "-o", str(tmp_path / "out"), "--classes"]
    status, said, _ = call(capsys, *words)
    assert status == 0
    assert said == (
        "100.0 % of 24 videos in 3 classes named rightly by a linear SVM (chance 33.3 %)\n"
        f"open {tmp_path}/out/index.html\n"
    )
    status, _, err = call(capsys, *words)
    assert (status, err) == (2, f"c3d-viz: {tmp_path}/out is there already; name a new folder\n")


@needs_sklearn
@pytest.mark.parametrize("videos", [3, 4])
def test_a_few_videos_have_all_others_as_neighbours(tmp_path: Path, videos: int) -> None:
    vectors = np.random.default_rng(0).normal(size=(videos, 6))
    few = write_table(tmp_path / "few.parquet", [f"{i}.mp4" for i in range(videos)], vectors)
    report = write_map(few, tmp_path / "out")
    assert report.arranged.nearest.shape == (videos, videos - 1)


@needs_sklearn
def test_one_line_for_what_is_wrong(table: Path, tmp_path: Path) -> None:
    with pytest.raises(VizError, match="k must be 1 to 23"):
        write_map(table, tmp_path / "out", k=24)
    with pytest.raises(VizError, match="--group takes a regular expression"):
        write_map(table, tmp_path / "out", classes=True, group="(")
    with pytest.raises(VizError, match="has one group of videos"):
        write_map(table, tmp_path / "out", classes=True, group="mp4")
    assert not (tmp_path / "out").exists()


def test_tables_that_are_no_map(tmp_path: Path) -> None:
    vectors = np.ones((4, 3))
    windows = write_table(tmp_path / "w.parquet", ["a"] * 4, vectors, start=pa.array(range(4)))
    with pytest.raises(ExportError, match="has no row for each video"):
        write_map(windows, tmp_path / "out")
    two = write_table(tmp_path / "two.parquet", ["a"] * 2, vectors[:2])
    with pytest.raises(ExportError, match="has 2 videos; a map takes 3 to 20,000"):
        write_map(two, tmp_path / "out")
    nan = write_table(tmp_path / "nan.parquet", ["a"] * 4, vectors * np.nan)
    with pytest.raises(ExportError, match="has vectors with NaN or infinity"):
        write_map(nan, tmp_path / "out")
    whole = pq.read_table(write_table(tmp_path / "n.parquet", ["a"] * 4, vectors))
    for column, name in enumerate(whole.column_names):
        if name in ("path", "vector"):
            kind = whole.schema.field(column).type
            gone = whole.set_column(column, name, pa.array([None] * 4, kind))
            pq.write_table(gone, tmp_path / "gone.parquet")
            with pytest.raises(ExportError, match="has rows without a value"):
                write_map(tmp_path / "gone.parquet", tmp_path / "out")
    (tmp_path / "a.txt").write_text("path,vector\n")
    with pytest.raises(ExportError, match="is no Parquet file"):
        write_map(tmp_path / "a.txt", tmp_path / "out")
    with pytest.raises(VizError, match="write_map: k must be a 64-bit whole number or None"):
        write_map(windows, tmp_path / "out", k="3")  # type: ignore[arg-type]


def test_without_the_library(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("sklearn", "sklearn.decomposition", "sklearn.manifold"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(VizError, match=r"pip install 'c3d-viz\[map\]'"):
        write_map(table, tmp_path / "out")
