"""The network from left to right, as the Layers page draws and describes it."""

from __future__ import annotations

from typing import Any

import numpy as np

from c3d_viz.nets import CONV_LAYERS, receptive_field

from .work import Net


def blocks(net: Net) -> list[dict[str, Any]]:
    """The network from left to right, with what the page says of each layer."""
    frames, (height, width) = net.spec.input.frames, net.spec.input.crop
    made: list[dict[str, Any]] = []
    for name, module in net.model.named_children():
        if name.startswith("pool"):
            made.append({"id": name, "kind": "pool", "shape": "max-pooling"})
        elif name in CONV_LAYERS:
            field = receptive_field(net.model, name)
            t, h, w = frames // field.step[0], height // field.step[1], width // field.step[2]
            c = module.out_channels
            sees, spoken = _sees(field.size, (frames, height, width))
            made.append(
                {
                    "id": name,
                    "kind": "conv",
                    "shape": f"{c}×{t}×{h}×{w}",
                    "sees": sees,
                    "spoken": f"{c} feature maps of {t} time steps, {h} × {w} cells; each cell "
                    f"sees {spoken}",
                    "size": h / height if h == height else (h / height) ** 0.6,
                    "depth": min(1.0, np.log2(max(2, c)) / 10),
                    "channels": c,
                }
            )
        elif name.startswith("fc"):
            c = module.out_features
            last = name == "fc8"
            made.append(
                {
                    "id": name,
                    "kind": "fc",
                    "shape": f"{c} {'classes' if last else 'units'}",
                    "sees": "sees all",
                    "spoken": f"{c} {'classes' if last else 'units'}; each sees the whole clip",
                    "size": 0.0,
                    "depth": min(1.0, np.log2(max(2, c)) / 10),
                    "channels": c,
                }
            )
    return made


def _sees(field: tuple[int, ...], clip: tuple[int, ...]) -> tuple[str, str]:
    """A receptive field for people, short and in words; never more than there is."""
    if all(size >= limit for size, limit in zip(field, clip, strict=True)):
        return "sees all", "the whole clip"
    frames, height, width = (min(*pair) for pair in zip(field, clip, strict=True))
    whole = "all " if frames == clip[0] else ""
    return (
        f"sees {frames}×{height}×{width}",
        f"{whole}{frames} frame{'s' * (frames > 1)} of {height} × {width} pixels",
    )
