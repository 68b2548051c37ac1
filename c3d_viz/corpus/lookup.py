"""A clip, looked up in a corpus: in a table of features, or in an atlas."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from torch import nn

from ..clips import Clip
from ..errors import ExportError, VizError
from ..nets import ModelSpec
from ..weights import NetworkChoice
from .atlas import Atlas
from .descriptors import describe
from .identity import difference
from .nearest import Neighbour, parquet_file, search

_KEY = b"c3d_viz"  # of a table's own metadata


def look_up(
    clip: Clip | str | os.PathLike[str],
    corpus: str | os.PathLike[str],
    network: NetworkChoice | None = None,
    k: int = 9,
    *,
    layer: str | None = None,
) -> list[Neighbour]:
    """The k windows, or videos, of a corpus that are nearest to a clip, by cosine, exactly.

    Args:
        corpus: a table of ``c3d-viz features``, or the folder of an atlas.
        network: the one that the corpus was made with.
        layer: of an atlas; the last by default.

    Raises:
        ExportError: the corpus is missing, damaged, or made with another network.
        ClipError: the clip cannot be read or is shorter than a window.
        VizError: k out of range, or what ``load_model`` raises.
    """
    place = Path(corpus)
    model, spec = (network or NetworkChoice()).load()
    if place.is_dir():
        atlas = Atlas.open(place)
        _same_network(place, atlas.about, model, spec)
        return atlas.search(model, clip, layer, k, spec=spec)
    if layer is not None:
        raise VizError("a table has one layer; --layer is for an atlas")
    about = _about(place)
    _same_network(place, about, model, spec)
    made = describe(model, clip, about["layer"], about["overlap"], spec=spec)
    return search(place, made.windows if about["windows"] else made.vector, k)


def _about(table: Path) -> dict[str, Any]:
    with parquet_file(table) as stored:
        text = (stored.schema_arrow.metadata or {}).get(_KEY, b"")
    try:
        about: dict[str, Any] = json.loads(text)
        fits = isinstance(about["layer"], str) and type(about["overlap"]) is int
        if not fits or not isinstance(about["windows"], bool):
            raise TypeError
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ExportError(
            f"{table} does not say how it was made; make it with c3d-viz features"
        ) from None
    return about


def _same_network(place: Path, about: dict[str, Any], model: nn.Module, spec: ModelSpec) -> None:
    if other := difference(about, model, spec):
        raise ExportError(
            f"{place} was made with another network ({other}); choose the same by --model, "
            f"--weights and the like"
        )
