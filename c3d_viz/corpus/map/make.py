"""A map of videos: figure with thumbnails, page and numbers, from a table of features."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ...arguments import check_seed, checked
from ...clips import read_thumbnails
from ...errors import ClipError, ExportError, VizError
from ...files import make_folder, try_folder, whole_folder, write_bytes, write_json, write_text
from ...progress import Progress
from .arrange import GROUP, Arranged, Classified, Table, arrange, classify, read_table
from .draw import draw_map
from .page import page

Picture = npt.NDArray[np.uint8]
THUMB = 72  # pixels of a thumbnail's height
MAX_THUMBS = 400  # videos that are drawn as pictures; of more the rest are dots


@dataclass(frozen=True)
class MapReport:
    """What became of a map: its page, the places, and the classifier where it was asked for."""

    page: Path
    table: Table
    arranged: Arranged
    classified: Classified | None


@checked(VizError)
def write_map(
    features: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    k: int | None = None,
    classes: bool = False,
    group: str = GROUP,
    seed: int = 0,
    progress: Progress | None = None,
) -> MapReport:
    """Draw the videos of a table of features: neighbours, PCA, t-SNE; classify them by folder.

    Writes ``index.html``, ``map.png`` and ``map.json`` into a new folder.

    Args:
        features: table with a row for each video, of ``c3d-viz features``.
        k: neighbours listed of each video; 5, or all of fewer, by default.
        classes: the folder that a video lies in names its class; a linear SVM is tested.
        group: see ``classify``.
        seed: of t-SNE, of the folds and of the SVM.
        progress: called with videos looked at, their number, and the last one's name.

    Raises:
        ExportError: the table cannot be used, or the folder is there already.
        VizError: what ``arrange`` and ``classify`` raise.
    """
    check_seed(seed)
    folder = Path(out)
    if os.path.lexists(folder):
        raise ExportError(f"{folder} is there already; name a new folder")
    try_folder(folder.parent)
    table = read_table(Path(features))
    arranged = arrange(table.vectors, min(5, len(table.paths) - 1) if k is None else k, seed)
    classified = classify(table, group, seed) if classes else None
    thumbs = _thumbnails(table, progress)
    with whole_folder(folder) as part:
        make_folder(part / "thumbs")
        for number, (_, data) in thumbs.items():
            write_bytes(part / "thumbs" / f"{number:05d}.jpg", data)
        labels = table.folders if classes else None
        pictures = {number: picture for number, (picture, _) in thumbs.items()}
        light, dark = draw_map(table, arranged, pictures, labels)
        write_bytes(part / "map.png", light)
        write_json(part / "map.json", _numbers(table, arranged, classified, seed))
        write_text(part / "index.html", page(table, arranged, classified, set(thumbs), light, dark))
    return MapReport(folder / "index.html", table, arranged, classified)


def _thumbnails(table: Table, progress: Progress | None) -> dict[int, tuple[Picture, bytes]]:
    """The middle frame of each video that can still be read, as array and JPEG."""
    import cv2

    made: dict[int, tuple[Picture, bytes]] = {}
    step = -(-len(table.paths) // MAX_THUMBS)
    wanted = range(0, len(table.paths), step)
    for done, number in enumerate(wanted, 1):
        try:
            picture = read_thumbnails(table.paths[number], 1, height=THUMB)[1][0]
        except ClipError:
            continue  # moved since; it is a dot
        finally:
            if progress is not None:
                progress(done, len(wanted), f"thumbnail of {table.names[number]}")
        made[number] = (picture, bytes(cv2.imencode(".jpg", picture[..., ::-1])[1]))
    return made


def _numbers(
    table: Table, arranged: Arranged, classified: Classified | None, seed: int
) -> dict[str, object]:
    rows = [
        {
            "path": path,
            "pca": arranged.pca[i].tolist(),
            "tsne": None if arranged.tsne is None else arranged.tsne[i].tolist(),
            "nearest": [
                {"path": table.paths[j], "cosine": float(c)}
                for j, c in zip(arranged.nearest[i].tolist(), arranged.cosine[i], strict=True)
            ],
        }
        for i, path in enumerate(table.paths)
    ]
    return {
        "features": table.about,
        "seed": seed,
        "pca_variance": list(arranged.variance),
        "perplexity": arranged.perplexity,
        "classified": None if classified is None else dataclasses.asdict(classified),
        "videos": rows,
    }
