"""The files of an atlas: their names, their columns, and how they are written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...files import whole_file
from .tally import QUANTILES

ATLAS, INDEX, MAPS, WINDOWS, MEDIA = (
    "atlas.json",
    "index.parquet",
    "maps.parquet",
    "windows.parquet",
    "media",
)
SCHEMA = 2
ALIKE = 3  # neighbours listed of each feature map
_PLAIN = ("layer", "channel", "rank", "value", "path", "sha256", "start")
_AT, _BOX = ("t", "h", "w"), ("first_frame", "last_frame", "top", "bottom", "left", "right")


@dataclass(frozen=True)
class TopWindow:
    """One of the windows that a feature map answers to most.

    Attributes:
        value: its peak there; ``rank`` 0 is the highest.
        path, sha256: the video, as it was named when the atlas was made.
        start: number of the window's first frame in the video.
        at: (t, h, w) in the layer's grid where it is strongest; () of a fully connected layer.
        frames, rows, columns: first and last that it sees there, of the window and of the input.
    """

    layer: str
    channel: int
    rank: int
    value: float
    path: str
    sha256: str
    start: int
    at: tuple[int, ...]
    frames: tuple[int, int]
    rows: tuple[int, int]
    columns: tuple[int, int]


@dataclass(frozen=True)
class FeatureMap:
    """What is known of a feature map's answers to all windows.

    Attributes:
        place: its number in the order in which maps that answer alike are neighbours.
        quantiles: (201,) float32, what each half percent of the windows stays at or below.
        alike: (channel, correlation) of the maps of the layer that answer most like it.
    """

    layer: str
    channel: int
    place: int
    quantiles: npt.NDArray[np.float32] = field(repr=False)
    alike: tuple[tuple[int, float], ...]


def media_file(layer: int, channel: int) -> str:
    """Where a feature map's video lies in the atlas; names of layers may be anything."""
    return f"{MEDIA}/{layer:02d}/{channel:04d}.mp4"


def index_schema() -> Any:
    import pyarrow as pa

    texts = dict.fromkeys(("layer", "path", "sha256"), pa.string())
    columns = {
        **dict.fromkeys(("layer", "channel", "rank"), pa.int64()),
        "value": pa.float32(),
        **dict.fromkeys(("path", "sha256", "start", *_AT, *_BOX), pa.int64()),
    }
    return pa.schema(list({**columns, **texts}.items()))


def maps_schema() -> Any:
    import pyarrow as pa

    return pa.schema(
        [
            ("layer", pa.string()),
            ("channel", pa.int64()),
            ("place", pa.int64()),
            ("quantiles", pa.list_(pa.float32(), len(QUANTILES))),
            ("alike", pa.list_(pa.int64())),
            ("correlation", pa.list_(pa.float32())),
        ]
    )


def write_index(path: Path, tops: Iterable[TopWindow]) -> None:
    """Raises ExportError where the file cannot be written."""
    _write(path, map(_row_of_top, tops), index_schema())


def write_maps(path: Path, maps: Iterable[FeatureMap]) -> None:
    """Raises ExportError where the file cannot be written."""
    _write(path, map(_row_of_map, maps), maps_schema())


def top_of(row: Mapping[str, Any]) -> TopWindow:
    at = tuple(row[name] for name in _AT if row[name] is not None)
    box = [row[name] for name in _BOX]
    pairs = ((box[0], box[1]), (box[2], box[3]), (box[4], box[5]))
    plain = {name: row[name] for name in _PLAIN}
    return TopWindow(**plain, at=at, frames=pairs[0], rows=pairs[1], columns=pairs[2])


def map_of(row: Mapping[str, Any]) -> FeatureMap:
    quantiles = np.asarray(row["quantiles"], np.float32)
    alike = tuple(zip(row["alike"], row["correlation"], strict=True))
    return FeatureMap(row["layer"], row["channel"], row["place"], quantiles, alike)


def _row_of_top(top: TopWindow) -> dict[str, Any]:
    row = {name: getattr(top, name) for name in _PLAIN}
    at = top.at if len(top.at) == len(_AT) else (None,) * len(_AT)
    box = (*top.frames, *top.rows, *top.columns)
    return {**row, **dict(zip(_AT, at, strict=True)), **dict(zip(_BOX, box, strict=True))}


def _row_of_map(known: FeatureMap) -> dict[str, Any]:
    plain = {name: getattr(known, name) for name in ("layer", "channel", "place")}
    channels: Sequence[int] = [channel for channel, _ in known.alike]
    near = [value for _, value in known.alike]
    return {**plain, "quantiles": known.quantiles, "alike": channels, "correlation": near}


def _write(path: Path, rows: Iterable[dict[str, Any]], schema: Any) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pylist(list(rows), schema=schema)
    with whole_file(path) as part, part.open("wb") as file:
        pq.write_table(table, file)
