"""A window that a feature map answers to, drawn: what it saw there, and the way back to the pixels.

A strip is one picture: the frames of the window below each other, each a row of tiles. Strips of a
window are kept together in one file, so that work that was stopped goes on; a feature map's strips
become one video, a row for each of its windows.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ...clips import cropped_frames, preprocess, read_clips
from ...engine import Unit
from ...errors import ExportError
from ...files import write_npz
from ...methods import Attribution, attribute_many
from ...nets import ChannelOrder, ReceptiveField
from ...render import raw_frames, write_video
from .bench import Bench

Picture = npt.NDArray[np.uint8]
Place = tuple[int, int]  # number of the layer, channel
Box = tuple[int, int, int, int, int, int]  # frames, rows, columns: first and last of each

TILE = 96  # pixels of a side
FPS = 10  # of a film; of one of few frames so many that it lasts a second
_FEWEST = 4
_JPEG = [cv2.IMWRITE_JPEG_QUALITY, 92]
_EDGE = (255, 255, 255)


@dataclass(frozen=True)
class Drawing:
    """What is to be drawn of a video: the places that win in its windows, by first frame."""

    path: Path
    sha256: str
    windows: Mapping[int, Sequence[Place]]


@dataclass(frozen=True)
class Drawn:
    """Where a feature map is strongest in a window, and the part of the clip it sees there.

    Attributes:
        at: (t, h, w) in the layer's grid, or ().
        box: first and last frame of the window, row and column of the input.
    """

    at: tuple[int, ...]
    box: Box


def strips_file(parts: Path, key: str, sha256: str, start: int) -> Path:
    """Where the strips of a window lie."""
    return parts / f"{key}-{sha256}-{start}.npz"


def draw(bench: Bench, task: Drawing) -> dict[tuple[int, Place], Drawn]:
    """Draw what is wanted of a video, one pass over it; by (first frame, place).

    Raises:
        ClipError: the video can no longer be read.
        ExportError: a file cannot be written.
        VizError: a map holds NaN.
    """
    done: dict[tuple[int, Place], Drawn] = {}
    todo = []
    for start, places in sorted(task.windows.items()):
        known = read_drawn(strips_file(bench.parts, bench.draw_key, task.sha256, start), places)
        if known is None:
            todo.append(start)
        else:
            done.update({(start, place): drawn for place, drawn in known.items()})
    takes = bench.listener.input
    clips = read_clips(task.path, todo, takes.frames, takes.stride)
    for start, clip in zip(todo, clips, strict=True):
        places = task.windows[start]
        names = list(bench.fields)
        units = [Unit(names[layer], channel) for layer, channel in places]
        x = preprocess(clip, takes).to(bench.settings.device)
        frames = cropped_frames(clip, takes)
        arrays: dict[str, npt.ArrayLike] = {}
        maps = attribute_many(bench.model, x, units, bench.settings.method)
        for place, map_ in zip(places, maps, strict=True):
            field = bench.fields[map_.unit.layer]
            box = box_of(field, map_.unit.at or (), takes.shape[1:])
            strip = strip_of(frames, map_, field, box, takes.channel_order)
            name = f"{place[0]}-{place[1]}"
            arrays[name] = cv2.imencode(".jpg", strip[..., ::-1], _JPEG)[1].reshape(-1)
            arrays[f"{name}-where"] = np.array([*box, *(map_.unit.at or ())], np.int64)
            done[start, place] = Drawn(map_.unit.at or (), box)
        write_npz(strips_file(bench.parts, bench.draw_key, task.sha256, start), arrays, zeros=1)
    return done


def read_drawn(file: Path, places: Sequence[Place]) -> dict[Place, Drawn] | None:
    """What a file of strips says of places; None where it is missing, damaged, or lacks one."""
    try:
        with zipfile.ZipFile(file) as archive:
            if archive.testzip() is not None:
                return None
        with np.load(file, allow_pickle=False) as stored:
            rows = {p: stored[f"{p[0]}-{p[1]}-where"].tolist() for p in places}
            if any(f"{p[0]}-{p[1]}" not in stored.files for p in places):
                return None
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
        return None
    return {p: Drawn(tuple(row[6:]), tuple(row[:6])) for p, row in rows.items()}


def box_of(field: ReceptiveField | None, at: Sequence[int], limits: Sequence[int]) -> Box:
    """What a unit sees, cut at the border: first and last frame, row and column."""
    ranges: list[int] = []
    for axis, limit in enumerate(limits):
        first, last = 0, limit - 1
        if field is not None and len(at) == 3:
            start = field.start[axis] + at[axis] * field.step[axis]
            first, last = max(0, start), min(last, start + field.size[axis] - 1)
        ranges += [first, max(first, last)]
    a, b, c, d, e, f = ranges
    return a, b, c, d, e, f


def tiles_of(field: ReceptiveField | None, limits: Sequence[int]) -> int:
    """3: the frame, the part that is seen, the way back; 2 where all of the frame is seen."""
    part = field is not None and any(s < n for s, n in zip(field.size[1:], limits[1:], strict=True))
    return 3 if part else 2


def strip_of(
    frames: Picture,
    map_: Attribution,
    field: ReceptiveField | None,
    box: Box,
    channel_order: ChannelOrder,
) -> Picture:
    """(N * TILE, tiles * TILE, 3) uint8 RGB of the N frames that a unit of the layer can see.

    Where fewer are seen, at the border of the window, the last one stays.
    """
    first, last, top, bottom, left, right = box
    count = len(frames) if field is None else min(len(frames), field.size[0])
    rows, columns = slice(top, bottom + 1), slice(left, right + 1)
    back = raw_frames(map_.values[:, first : last + 1, rows, columns], channel_order=channel_order)
    taken = np.minimum(np.arange(count), last - first)
    tiles = [_fitted(frames[first + taken, rows, columns]), _fitted(back[taken])]
    if tiles_of(field, map_.values.shape[1:]) == 3:
        whole = _fitted(frames[first + taken])
        scale = TILE / max(frames.shape[1:3])
        edge = [(TILE - round(n * scale)) // 2 for n in frames.shape[1:3]]
        low = [int(n * scale) + e for n, e in zip((top, left), edge, strict=True)]
        high = [int((n + 1) * scale) + e for n, e in zip((bottom, right), edge, strict=True)]
        for picture in whole:
            cv2.rectangle(picture, (low[1] - 1, low[0] - 1), (high[1], high[0]), _EDGE)
        tiles.insert(0, whole)
    return np.concatenate(tiles, axis=2).reshape(-1, len(tiles) * TILE, 3)


def _fitted(frames: Picture) -> Picture:
    """(T, H, W, 3) in the middle of (T, TILE, TILE, 3); few pixels stay squares."""
    height, width = frames.shape[1:3]
    scale = TILE / max(height, width)
    size = max(1, round(height * scale)), max(1, round(width * scale))
    how = cv2.INTER_NEAREST if scale > 4 else cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA
    made = np.zeros((len(frames), TILE, TILE, 3), np.uint8)
    y, x = (TILE - size[0]) // 2, (TILE - size[1]) // 2
    for place, frame in zip(made, frames, strict=True):
        small = cv2.resize(np.ascontiguousarray(frame), size[::-1], interpolation=how)
        place[y : y + size[0], x : x + size[1]] = small
    return made


@dataclass(frozen=True)
class Film:
    """A feature map's video: its place, where it goes, and the strips' files in order."""

    place: Place
    file: Path
    strips: Sequence[Path]


def compose(_state: object, film: Film) -> None:
    """Write a feature map's video, a row for each of its windows.

    Raises:
        ExportError: it cannot be written, or a strip is gone.
    """
    name = f"{film.place[0]}-{film.place[1]}"
    rows = []
    for file in film.strips:
        try:
            with np.load(file, allow_pickle=False) as stored:
                strip: Any = cv2.imdecode(stored[name], cv2.IMREAD_COLOR)
        except (OSError, ValueError, KeyError, zipfile.BadZipFile):
            raise ExportError(f"{file} is gone or damaged; give the command again") from None
        rows.append(strip[..., ::-1].reshape(-1, TILE, strip.shape[1], 3))
    frames = np.ascontiguousarray(np.concatenate(rows, axis=1))
    write_video(film.file, frames, min(FPS, max(_FEWEST, len(frames))), light=True)
