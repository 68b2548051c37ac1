"""The map that is looked at as one picture or film, with all that it is of written on it."""

from __future__ import annotations

import re
from typing import Any, Literal

import numpy as np

from c3d_viz import render
from c3d_viz.methods import METHODS

from . import patches, pictures, work
from .samples import Source
from .windows import Prepared
from .work import Net, Spot, kept

Kind = Literal["png", "gif"]
TILE = 300  # pixels of a frame in a film


def saved(
    kind: Kind, of: Source, net: Net, win: Prepared, unit: Spot, named: str, method: str, look: str
) -> bytes:
    """All frames on a page (png), or one after the other (gif).

    Args:
        named: the map, for people.
    """

    def make() -> bytes:
        att = work.back_projection(net, win, unit, method)
        where = f" at (t, h, w) = {unit.at}" if unit.at else ""
        written: dict[str, Any] = {
            "title": f"{unit.layer} · {named} · {METHODS[method].title} · answers "
            f"{unit.activation:z.3g}{where}",
            "subtitle": f"weights: {net.spec.weights.replace(' x ', ' × ')} · {of.label}, "
            f"frames {win.numbers[0]}-{win.numbers[-1]}",
            "mode": look,
            "channel_order": net.spec.input.channel_order,
        }
        if kind == "png":
            strip = render.filmstrip(
                win.frames,
                att,
                numbers=win.numbers,
                rows=("overlay", "raw"),
                patch=patches.patch_of(net, win, unit),
                **written,
            )
            return render.encode_png(strip)
        film = [
            render.contact_sheet(
                win.frames, [att], at=[i], numbers=win.numbers, tile=TILE, **written
            )
            for i in range(len(win.frames))
        ]
        fps = pictures.watchable(win.fps, win.stride)
        return render.encode_video(np.stack(film), fps, kind="gif")

    return kept(("saved", kind, net.key, win.key, unit, method, look, of.label), make)


def file_name(kind: Kind, of: Source, unit: Spot, method: str) -> str:
    """A name that says what is in the file."""
    clip = re.sub(r"[^\w-]+", "-", of.label.rpartition(".")[0] or of.label).strip("-").lower()
    return f"{clip}-{unit.layer}-{unit.channel}-{method}.{kind}"
