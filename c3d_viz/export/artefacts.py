"""The files that an export makes of every map; a further one is a line of ARTEFACTS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import render
from ..engine import Unit
from ..files import write_npz
from ..methods import Attribution, Channel
from .draw import (
    ENLARGE,
    Box,
    Window,
    enlarged,
    field_box,
    field_note,
    outlined,
    patch_of,
    subtitle,
    title,
    unit_folder,
)


@dataclass(frozen=True)
class UnitMap:
    """One unit's map in its window, and what several of its artefacts draw from."""

    window: Window
    att: Attribution

    @cached_property
    def box(self) -> Box | None:
        field = self.window.plan.fields[self.att.unit.layer]
        return field_box(field, self.att.unit, self.att.values.shape[1:])

    @cached_property
    def patch(self) -> render.Patch | None:
        """What the unit sees, where that is too little to be made out on the whole frame."""
        return patch_of(self.window, self.att.unit)

    @cached_property
    def look(self) -> dict[str, Any]:
        return {"mode": self.window.settings.mode, "scale": self.window.settings.scale}

    @cached_property
    def overlays(self) -> npt.NDArray[np.uint8]:
        return render.overlay(self.window.pixels, self.att, **self.look)


def _write_map(path: Path, of: UnitMap) -> None:
    att, spec = of.att, of.window.spec
    stored: dict[str, npt.ArrayLike] = {
        "values": att.values,
        "layer": att.unit.layer,
        "channel": np.int64(att.unit.channel),
        "at": np.array(att.unit.at, dtype=np.int64),
        "activation": np.float32(att.activation),
        "method": att.method,
        "frames": np.array(of.window.numbers, dtype=np.int64),
        "channel_order": spec.input.channel_order,
        "weights": spec.weights,
    }
    if isinstance(att.target, Channel):
        stored |= {"reduce": att.target.reduce}
    if att.native is not None:
        stored |= {"native": att.native, "native_layer": att.native_layer}
    if att.report is not None and att.report.others:  # else the file is as it always was
        stored |= {"relus": att.report.relus, "other_activations": list(att.report.others)}
    write_npz(path, stored)


def _write_overlay(path: Path, of: UnitMap) -> None:
    whole = outlined(of.overlays, of.box)
    if of.patch is None:
        render.write_video(path, whole, of.window.fps, scale=ENLARGE)
        return
    order = of.window.spec.input.channel_order
    raw = render.raw_frames(of.att, scale=of.look["scale"], channel_order=order)
    clip = outlined(of.window.pixels, of.box)
    render.write_video(path, enlarged(of.patch, of.window.pixels, raw, clip, whole), of.window.fps)


def _write_filmstrip(path: Path, of: UnitMap) -> None:
    window, att = of.window, of.att
    strip = render.filmstrip(
        window.pixels,
        att,
        title=title(att),
        subtitle=subtitle(window),
        rows=("overlay", "raw"),
        numbers=window.numbers,
        notes=field_note(window, of.box, att),
        channel_order=window.spec.input.channel_order,
        overlays=of.overlays,
        patch=of.patch,
        **of.look,
    )
    render.write_image(path, strip)


@dataclass(frozen=True)
class Artefact:
    """A file that an export makes of every map.

    Attributes:
        key: its name in the manifest.
        file: its name in the unit's folder.
        kind: of work, for the timings.
        write: makes it.
        link: its link on the page; "" where the page shows it.
    """

    key: str
    file: str
    kind: str
    write: Callable[[Path, UnitMap], None]
    link: str


ARTEFACTS = (
    Artefact("filmstrip", "filmstrip.png", "pictures", _write_filmstrip, "frame by frame"),
    Artefact("overlay", "overlay.mp4", "videos", _write_overlay, ""),
    Artefact("map", "map.npz", "arrays", _write_map, "map.npz"),
)


def write_unit(window: Window, att: Attribution) -> dict[str, float]:
    folder = unit_folder(window.folder, att.unit, att.method)
    spent: dict[str, float] = {}
    of = UnitMap(window, att)
    for artefact in ARTEFACTS:

        def make(path: Path, write: Callable[[Path, UnitMap], None] = artefact.write) -> None:
            write(path, of)

        seconds = window.ledger.write(folder / artefact.file, make)
        spent[artefact.kind] = spent.get(artefact.kind, 0.0) + seconds
    return spent


def complete(window: Window, unit: Unit, method: str) -> bool:
    folder = unit_folder(window.folder, unit, method)
    return all(window.ledger.has(folder / artefact.file) for artefact in ARTEFACTS)
