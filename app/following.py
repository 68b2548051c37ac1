"""What a feature map answers along a whole video."""

from __future__ import annotations

import c3d_viz as viz
from c3d_viz.clips import read_clips, span_of

from . import work
from .samples import Source
from .tasks import Key, report, so_far

WINDOWS = 100  # of a long video
Trace = tuple[list[int], list[float]]


def along(net: work.Net, source: Source, stride: int, layer: str, channel: int) -> Trace:
    """Middle frames of windows along a video, and the map's strongest answer in each.

    Windows lie half a window apart, further where the video is long. How far it is, is reported,
    and the beginning of the line is there ``so_far``.
    """
    spec = net.spec.input
    span = span_of(stride, spec.frames)
    last = max(0, source.info.frames - span)
    apart = max(1, span // 2, -(-last // WINDOWS))
    starts = [*range(0, last, apart), last]

    def make() -> Trace:
        frames, values = [], []
        report(0, len(starts), f"frame 0 of {source.info.frames}")
        for number, clip in enumerate(read_clips(source.path, starts, spec.frames, stride), 1):
            with work.CORES, work.soon(net):
                seen = viz.trace(net.model, viz.preprocess(clip, spec), [layer])
            frames.append(clip.start + span // 2)
            values.append(float(seen.activations[layer][channel].max()))
            so_far((frames.copy(), values.copy()))
            report(number, len(starts), f"frame {clip.start} of {source.info.frames}")
        return frames, values

    key: Key = ("along", net.key, source.key, stride, layer, channel)
    return work.kept(key, make)
