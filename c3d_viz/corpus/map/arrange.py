"""Where videos lie to each other: neighbours, PCA, t-SNE, and a linear classifier of folders."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import ExportError, VizError
from ..table import length_of, parquet_file, rows_of, said_of
from ..videos import place_of

MAX_VIDEOS = 20_000  # of a map: t-SNE and the picture are for so many
GROUP = r"g(\d+)_c\d+"  # in the names of UCF101: clips cut from one video
C = 1.0  # of the SVM
FOLDS = 5
_PERPLEXITY = 30
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Table:
    """Videos and their vectors, of L2 norm 1; ``about`` is what the table says of itself."""

    paths: tuple[str, ...]
    vectors: Floats
    about: dict[str, Any]

    @property
    def names(self) -> list[str]:
        """Short names: of the file, or of the folder that holds ``frames``."""
        return [place_of(path).name for path in self.paths]

    @property
    def folders(self) -> list[str]:
        """Name of the folder that each video lies in."""
        return [place_of(path).parent.name for path in self.paths]


@dataclass(frozen=True)
class Classified:
    """How well a linear SVM tells the classes apart, in cross-validation by groups.

    Attributes:
        classes: their names, and how many videos each has.
        groups: number of groups; no group is in training and test at once.
        folds: accuracy of each fold; ``chance`` is that of naming the most frequent class.
        wrong: (path, class, answer) of each video that was misjudged.
    """

    classes: dict[str, int]
    groups: int
    folds: tuple[float, ...]
    accuracy: float
    chance: float
    wrong: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True)
class Arranged:
    """Places of the videos.

    Attributes:
        pca: (N, 2); ``variance`` is the share of it along each axis.
        tsne: (N, 2), or None of fewer than five videos.
        nearest: (N, k) rows of the table, nearest first; ``cosine`` their likeness.
    """

    pca: Floats
    variance: tuple[float, float]
    tsne: Floats | None
    perplexity: float
    nearest: npt.NDArray[np.int64]
    cosine: Floats


def read_table(path: Path) -> Table:
    """A table with a row for each video.

    Raises:
        ExportError: it is missing, damaged, has a row for each window, or fewer than three or more
            than 20,000 videos.
    """
    with parquet_file(path) as stored:
        length_of(stored, path)
        if "start" in stored.schema_arrow.names:
            raise ExportError(
                f"{path} has no row for each video; make it with c3d-viz features, without "
                f"--windows"
            )
        if not 3 <= stored.metadata.num_rows <= MAX_VIDEOS:
            raise ExportError(
                f"{path} has {stored.metadata.num_rows} videos; a map takes 3 to {MAX_VIDEOS:,}"
            )
        batches = list(rows_of(stored, path, ["path"]))
        about = said_of(stored)
    paths = tuple(name for batch, _ in batches for name in batch["path"].to_pylist())
    vectors = np.concatenate([values for _, values in batches])
    norm = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = (vectors / np.where(norm > 0, norm, 1)).astype(np.float32)
    return Table(paths, unit, about)


def arrange(vectors: Floats, k: int, seed: int) -> Arranged:
    """Neighbours by cosine, and two flat pictures of the vectors (N, D) of L2 norm 1.

    PCA of the centred vectors; t-SNE of their Euclidean distances (for vectors of length 1 in the
    order of the cosines), perplexity 30 or a third of the videos, begun from the PCA.

    Raises:
        VizError: k out of range; scikit-learn is not installed.
    """
    count = len(vectors)
    if not 1 <= k < count:
        raise VizError(f"k must be 1 to {count - 1} neighbours, of {count} videos, got {k}")
    decomposition, manifold = _sklearn("decomposition"), _sklearn("manifold")
    nearest, cosine = [], []
    for start in range(0, count, 1024):
        likeness = vectors[start : start + 1024] @ vectors.T
        likeness[np.arange(len(likeness)), start + np.arange(len(likeness))] = -np.inf
        order = np.argsort(-likeness, axis=1, kind="stable")[:, :k]
        nearest.append(order)
        cosine.append(np.take_along_axis(likeness, order, 1).clip(-1, 1))
    pca = decomposition.PCA(2, svd_solver="full").fit(vectors)
    flat = pca.transform(vectors).astype(np.float32)
    perplexity = min(_PERPLEXITY, (count - 1) / 3)
    tsne = None
    if count >= 5:
        made = manifold.TSNE(2, perplexity=perplexity, init="pca", random_state=seed, n_jobs=1)
        tsne = made.fit_transform(vectors).astype(np.float32)
    first, second = (float(share) for share in pca.explained_variance_ratio_)
    return Arranged(
        flat, (first, second), tsne, perplexity, np.concatenate(nearest), np.concatenate(cosine)
    )


def classify(
    table: Table, group: str = GROUP, seed: int = 0, *, classes: Sequence[str] | None = None
) -> Classified:
    """A linear SVM on the vectors, as Tran et al. 2015 (section 3.3) on their descriptors.

    One against the rest, C = 1, in 5 folds (fewer where a class has fewer groups), stratified by
    class; the videos of a group are never in training and test at once.

    Args:
        group: a regular expression that is looked for in each video's short name; what its first
            brackets hold (or the whole) names the group. A video without a match is one by itself.
        classes: of each video; by default the name of the folder it lies in.

    Raises:
        VizError: fewer than two classes, or a class with a single group; a wrong expression.
    """
    selection, svm = _sklearn("model_selection"), _sklearn("svm")
    labels = np.array(table.folders if classes is None else classes)
    groups = _groups(table.names, group)
    counts = dict(sorted(Counter(labels.tolist()).items()))
    if len(counts) < 2:
        raise VizError("the folders name no classes: all videos lie in folders of one name")
    of_class = {name: len(set(groups[labels == name].tolist())) for name in counts}
    fewest = min(of_class, key=lambda name: of_class[name])
    if of_class[fewest] < 2:
        raise VizError(
            f"class {fewest!r} has one group of videos, and two are needed to test what was "
            f"learned from the other; add videos, or another --group"
        )
    folds = min(FOLDS, of_class[fewest])
    splits = selection.StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    answers = np.empty_like(labels)
    scores = []
    for train, test in splits.split(table.vectors, labels, groups):
        model = svm.LinearSVC(C=C, random_state=seed, max_iter=10_000)
        answers[test] = model.fit(table.vectors[train], labels[train]).predict(table.vectors[test])
        scores.append(float((answers[test] == labels[test]).mean()))
    rows = zip(table.paths, labels.tolist(), answers.tolist(), strict=True)
    return Classified(
        counts,
        len(set(groups.tolist())),
        tuple(scores),
        float((answers == labels).mean()),
        max(counts.values()) / len(labels),
        tuple(row for row in rows if row[1] != row[2]),
    )


def _groups(names: Sequence[str], pattern: str) -> npt.NDArray[np.str_]:
    try:
        search = re.compile(pattern).search
    except re.error as error:
        raise VizError(f"--group takes a regular expression, got {pattern!r}: {error}") from None
    made = []
    for number, name in enumerate(names):
        found = search(name)
        made.append(
            f"video {number}" if found is None else f"group {(*found.groups(), found[0])[0]}"
        )
    return np.array(made)


def _sklearn(name: str) -> Any:
    import importlib

    try:
        return importlib.import_module(f"sklearn.{name}")
    except ModuleNotFoundError:
        raise VizError(
            "a map needs scikit-learn, which is not installed; pip install 'c3d-viz[map]'"
        ) from None
