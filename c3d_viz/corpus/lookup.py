"""A clip, looked up in a corpus: in a table of features, or in an atlas."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ..arguments import checked
from ..clips import Clip, find_videos, video_info
from ..errors import ClipError, ExportError, VizError
from ..progress import Progress
from ..weights import NetworkChoice
from .atlas import Atlas
from .descriptors import describe
from .identity import difference
from .nearest import Neighbour, check_k, of_windows, search
from .table import length_of, parquet_file, said_of


@checked(VizError)
def look_up(
    clip: Clip | str | os.PathLike[str],
    corpus: str | os.PathLike[str],
    network: NetworkChoice | None = None,
    k: int = 9,
    *,
    layer: str | None = None,
    progress: Progress | None = None,
) -> list[Neighbour]:
    """The k windows, or videos, of a corpus that are nearest to a clip, by cosine, exactly.

    The clip is cut into windows as the corpus was; each is compared with every row.

    Args:
        clip: one video; of a path, also a folder that holds one, or its ``frames``.
        corpus: a table of ``c3d-viz features``, or the folder of an atlas.
        network: the one that the corpus was made with.
        layer: of an atlas; the last by default.
        progress: called with windows of the clip done, their number, and its name.

    Raises:
        ExportError: the corpus is missing, damaged, or made with another network.
        ClipError: the clip cannot be read or is shorter than a window.
        VizError: k out of range, or what ``load_model`` raises.
    """
    place = Path(corpus)
    check_k(k)
    atlas = Atlas.open(place) if place.is_dir() else None
    about = _about(place) if atlas is None else atlas.about
    if layer is not None:
        if atlas is None:
            raise VizError("a table has one layer; --layer is for an atlas")
        atlas.layer(layer)
    if not isinstance(clip, Clip):  # what is wrong with it is said before a network is loaded
        if os.fspath(clip) and os.path.isdir(clip):
            (clip, _), *others = find_videos([Path(clip)])
            if others:
                raise ClipError(f"{len(others) + 1} videos are in that folder; look up one of them")
        video_info(clip)
    model, spec = (network or NetworkChoice()).load()
    if other := difference(about, model, spec):
        raise ExportError(
            f"{place} was made with another network ({other}); choose the same by --model, "
            f"--weights and the like"
        )
    if atlas is not None:
        return atlas.search(model, clip, layer, k, spec=spec, progress=progress)
    cut = about["layer"], about["overlap"]
    made = describe(model, clip, *cut, spec=spec, progress=progress)
    if not about["windows"]:
        return search(place, made.vector, k)
    return of_windows(search(place, made.windows, k), made.starts)


def _about(table: Path) -> dict[str, Any]:
    kinds = {"layer": str, "overlap": int, "windows": bool}
    with parquet_file(table) as stored:
        length_of(stored, table)
        about = said_of(stored)
    if any(type(about.get(name)) is not kind for name, kind in kinds.items()):
        raise ExportError(f"{table} does not say how it was made; make it with c3d-viz features")
    return about
