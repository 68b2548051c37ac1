"""The library asked directly, for what the pages draw from."""

from __future__ import annotations

from pathlib import Path

import c3d_viz as viz
from app import work
from app.samples import Source
from c3d_viz.clips import video_info


def source(path: Path, key: str) -> Source:
    return Source(key, path, path.name, video_info(path), path.name)


def right(net: work.Net, path: Path, start: int, layer: str, method: str) -> viz.Attribution:
    """The library asked directly."""
    x = viz.preprocess(viz.read_clip(path, start), net.spec.input)
    unit = viz.top_units(viz.trace(net.model, x, [layer]), layer, 1)[0]
    return viz.attribute(net.model, x, unit, method)
