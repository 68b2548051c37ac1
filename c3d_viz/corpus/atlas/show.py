"""The windows of a feature map as pictures: out of its film, or drawn anew from the video."""

from __future__ import annotations

import math
import os

import numpy as np
from torch import nn

from ...arguments import checked
from ...clips import Clip, cropped_frames, preprocess, read_clip, video_info
from ...engine import Unit, receptive_fields
from ...errors import ClipError, ExportError, LayerError, VizError
from ...methods import attribute
from ...nets import ModelSpec
from ..videos import place_of
from .draw import TILE, Picture, strip_of
from .opened import Atlas
from .tables import TopWindow

_MAX_FRAMES = 4096  # of a film: a window's
_ALIKE = 0.01  # of an answer: what another processor or decoder may change


@checked(LayerError)
def film_strips(atlas: Atlas, layer: str, channel: int) -> list[Picture]:
    """Every window of a feature map, strongest first, (N, TILE, tiles * TILE, 3) uint8 RGB each.

    Side by side: the frame with an outline (where a part is seen), that part, the way back. None
    of them where the atlas holds no film of the map.

    Raises:
        LayerError: the atlas has no such layer or channel.
        ExportError: a link lies in the film's place, or the film is damaged.
    """
    film, tops = atlas.video(layer, channel), atlas.top(layer, channel)
    if film is None:
        return []
    shape = (len(tops) * TILE, atlas.layer(layer).tiles * TILE)
    try:
        info = video_info(film)
        if (info.height, info.width) != shape or info.frames > _MAX_FRAMES:
            raise ExportError(f"{film} does not fit the atlas; make it again")
        frames = read_clip(film, 0, info.frames).frames
    except ClipError:
        raise ExportError(f"{film} is damaged; make the atlas again") from None
    return [frames[:, row : row + TILE] for row in range(0, shape[0], TILE)]


@checked(VizError)
def draw_window(
    atlas: Atlas,
    model: nn.Module,
    spec: ModelSpec,
    top: TopWindow,
    video: str | os.PathLike[str],
) -> Picture:
    """One window as ``film_strips`` gives it, from the video.

    Args:
        model, spec: the network the atlas was made with.

    Raises:
        ClipError: the video cannot be read there, or answers otherwise than the atlas says.
        VizError: what ``attribute`` raises.
    """
    takes = spec.input
    clip: Clip = read_clip(video, top.start, takes.frames, takes.stride)
    unit = Unit(top.layer, top.channel, top.at)
    map_ = attribute(model, preprocess(clip, takes), unit, atlas.about["method"])
    if not math.isclose(map_.activation, top.value, rel_tol=_ALIKE, abs_tol=_ALIKE / 10):
        raise ClipError(
            f"{video}: {unit} answers {map_.activation:z.3g} there, in the atlas {top.value:z.3g}: "
            f"it is another clip; give the file that the atlas was made of"
        )
    field = receptive_fields(model, takes.shape, [top.layer])[top.layer]
    box = (*top.frames, *top.rows, *top.columns)
    strip = strip_of(cropped_frames(clip, takes), map_, field, box, takes.channel_order)
    return np.ascontiguousarray(strip.reshape(-1, TILE, strip.shape[1], 3))


@checked(LayerError)
def top_films(
    path: str | os.PathLike[str],
    layer: str,
    channel: int,
    model: nn.Module,
    spec: ModelSpec,
    most: int = 6,
) -> list[tuple[str, Picture]]:
    """A feature map's strongest windows in an atlas on disk: what each is, and its film.

    Raises:
        ExportError: there is none, it is damaged, or of another network.
        LayerError: it has no such layer or channel.
    """
    atlas = Atlas.open(path)
    if other := atlas.differs(model, spec):
        raise ExportError(f"{path} is an atlas of another network (other {other}); make one of it")
    tops, strips = atlas.top(layer, channel), film_strips(atlas, layer, channel)
    names = [
        f"{place_of(top.path).name}, frame {top.start}: answers {top.value:z.3g}" for top in tops
    ]
    return list(zip(names, strips, strict=False))[:most]
