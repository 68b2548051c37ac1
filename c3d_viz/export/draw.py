"""The files of one window of an export: each function draws, encodes, writes, and says how long.

They run on worker threads. Every file that the ledger has is left alone, which is what makes an
export resumable.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from torch import nn

from .. import render
from ..clips import Clip, cropped_frames
from ..engine import RuleReport, Unit
from ..files import write_npz
from ..methods import METHODS, Attribution, Channel
from ..nets import ModelSpec, ReceptiveField
from .ledger import Ledger
from .plan import Plan
from .settings import ExportSettings

ENLARGE = 3  # of the overlay video: 112 pixels are small on a screen
NEAR, GAP, GREY = 2, 4, 128  # of a video with four films, of which two are the whole frame
Box = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]


@dataclass(frozen=True)
class Window:
    """What one window of an export needs.

    Attributes:
        model, spec: the network.
        clip: the window's frames.
        folder: where its layers go.
        name: ``folder`` relative to the export, "." for the export's own.
        settings: what was asked for.
        plan: its layers, and what is left out.
        ledger: which files of the export are there.
    """

    model: nn.Module
    spec: ModelSpec
    clip: Clip
    folder: Path
    name: str
    settings: ExportSettings
    plan: Plan
    ledger: Ledger
    pixels: npt.NDArray[np.uint8] = dataclasses.field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "pixels", cropped_frames(self.clip, self.spec.input))

    @property
    def fps(self) -> float:
        """Frames per second at which the window runs at its own speed."""
        return self.clip.fps / self.clip.stride

    @property
    def numbers(self) -> list[int]:
        """Number in the source of each frame."""
        return [self.clip.start + i * self.clip.stride for i in range(len(self.clip.frames))]


def sheet_path(window: Window, layer: str, method: str) -> Path:
    return window.folder / layer / method / "sheet.png"


def unit_folder(folder: Path, unit: Unit, method: str) -> Path:
    """``<layer>/<method>/ch0012`` below ``folder``."""
    return folder / unit.layer / method / f"ch{unit.channel:04d}"


def write_input(window: Window) -> dict[str, float]:
    def write(path: Path) -> None:
        render.write_video(path, window.pixels, window.fps, scale=ENLARGE)

    return {"videos": window.ledger.write(window.folder / "input.mp4", write)}


def write_activations(
    window: Window, layer: str, values: npt.NDArray[np.float32]
) -> dict[str, float]:
    def arrays(path: Path) -> None:
        # half of a ReLU's answers are zero: deflating them takes a second per 100 MB and halves it
        stored: dict[str, npt.ArrayLike] = {"values": values, "layer": layer}
        write_npz(path, stored, zeros=0.75)

    def picture(path: Path) -> None:
        sheet = render.activation_sheet(
            values,
            title=f"{layer} · what the layer answers to {window.clip.name}",
            subtitle=subtitle(window),
            frames=len(window.clip.frames),
        )
        render.write_image(path, sheet)

    folder = window.folder / layer
    spent = {"arrays": window.ledger.write(folder / "activations.npz", arrays)}
    if values.ndim == 4:
        spent["pictures"] = window.ledger.write(folder / "activations.png", picture)
    return spent


def write_sheet(
    window: Window, units: list[Unit], method: str, made: dict[Unit, Attribution]
) -> dict[str, float]:
    """A layer's maps together; those of an earlier run are read back from their files."""
    layer = units[0].layer

    def write(path: Path) -> None:
        sheet = render.contact_sheet(
            window.pixels,
            [made.get(unit) or _read_map(window, unit, method) for unit in units],
            title=f"{layer} · {METHODS[method].title} · {window.clip.name}",
            subtitle=subtitle(window),
            mode=cast(Any, window.settings.mode),
            numbers=window.numbers,
            channel_order=window.spec.input.channel_order,
        )
        render.write_image(path, sheet)

    return {"pictures": window.ledger.write(sheet_path(window, layer, method), write)}


def target_of(window: Window, unit: Unit) -> Channel | None:
    """The whole channel, where that was asked for in place of a unit."""
    at = window.settings.at
    return Channel(unit.layer, unit.channel, at) if isinstance(at, str) else None


def _read_map(window: Window, unit: Unit, method: str) -> Attribution:
    """A map that was exported earlier, as it was made."""
    with np.load(unit_folder(window.folder, unit, method) / "map.npz") as stored:
        return Attribution(
            stored["values"],
            unit,
            method,
            float(stored["activation"]),
            _report_in(stored),
            native=stored.get("native"),
            native_layer=str(stored["native_layer"]) if "native" in stored else "",
            settings=window.settings.of_methods().get(method),
            target=target_of(window, unit),
        )


def read_notes(window: Window, unit: Unit, method: str) -> list[str]:
    """The notes of a map that was exported earlier."""
    return list(_read_map(window, unit, method).notes)


def _report_in(stored: Any) -> RuleReport | None:
    if "relus" not in stored:
        return None
    return RuleReport(int(stored["relus"]), tuple(map(str, stored["other_activations"])))


def field_box(field: ReceptiveField | None, unit: Unit, shape: Sequence[int]) -> Box | None:
    """First and last-but-one (t, h, w) index a unit can see, cut at the clip's border.

    None where it sees most of the picture (or is fully connected): there is nothing to point at.
    """
    if not unit.at or field is None:
        return None
    bounds = []
    for at, first, step, size, limit in zip(
        unit.at, field.start, field.step, field.size, shape, strict=True
    ):
        low = first + at * step
        bounds.append((max(0, low), min(limit, low + size)))
    (_, h, w) = bounds
    if (h[1] - h[0]) * (w[1] - w[0]) > shape[1] * shape[2] / 2:
        return None
    return (bounds[0], bounds[1], bounds[2])


def patch_of(window: Window, unit: Unit) -> render.Patch | None:
    """What the unit sees, where that is too little to be made out on the whole frame."""
    field, (height, width) = window.plan.fields[unit.layer], window.spec.input.crop
    return render.small_patch(field, unit.at or (), (len(window.pixels), height, width))


def enlarged(
    patch: render.Patch,
    pixels: npt.NDArray[np.uint8],
    raw: npt.NDArray[np.uint8],
    clip: npt.NDArray[np.uint8],
    overlays: npt.NDArray[np.uint8],
) -> npt.NDArray[np.uint8]:
    """Four films in one: what a unit sees, enlarged, and what is sent back there; below them the
    whole frames, the clip's and those of the map on it, both with the outline on them."""
    height, width = (NEAR * side for side in pixels.shape[1:3])
    page = np.full((len(pixels), 2 * height + GAP, 2 * width + GAP, 3), GREY, np.uint8)
    tall = min(height, round(width * patch.size[1] / patch.size[2]))
    films = (
        render.cut_throughout(pixels, patch, tall, dim=True),
        render.cut_throughout(raw, patch, tall, smooth=False),
        *(film.repeat(NEAR, 1).repeat(NEAR, 2) for film in (clip, overlays)),
    )
    for film, (row, column) in zip(films, np.ndindex(2, 2), strict=True):
        top = row * (height + GAP) + (height - film.shape[1]) // 2
        left = column * (width + GAP) + (width - film.shape[2]) // 2
        page[:, top : top + film.shape[1], left : left + film.shape[2]] = film
    return page


def outlined(frames: npt.NDArray[np.uint8], box: Box | None) -> npt.NDArray[np.uint8]:
    """The frames with a thin line just outside ``box`` in those it covers."""
    if box is None:
        return frames
    frames = frames.copy()
    (t0, t1), (top, bottom), (left, right) = box
    height, width = frames.shape[1:3]
    top, left = max(0, top - 2), max(0, left - 2)
    bottom, right = min(height - 1, bottom + 1), min(width - 1, right + 1)
    for frame in frames[t0:t1]:
        frame[[top, bottom], left : right + 1] = 255
        frame[top : bottom + 1, [left, right]] = 255
    return frames


def field_note(window: Window, box: Box | None, att: Attribution) -> list[str]:
    """What the unit can see, and what the map is where it sees nothing.

    A method may draw there: a class activation map weighs whole channels, a mask is wide.
    """
    if box is None:
        return []
    beyond = att.values.copy()
    beyond[(slice(None), *(slice(*ends) for ends in box))] = 0
    elsewhere = "its map is zero"
    if beyond.any():
        elsewhere = "it sees nothing, and what is drawn comes from the method"
    (t0, t1), (top, bottom), (left, right) = box
    numbers = window.numbers
    height, width = window.spec.input.crop
    return [
        f"This unit can see frames {numbers[t0]}-{numbers[t1 - 1]}, rows {top}-{bottom - 1} and "
        f"columns {left}-{right - 1} of the clip's {width} x {height} pixels; elsewhere "
        f"{elsewhere}."
    ]


def title(att: Attribution) -> str:
    unit = att.unit
    where = f" at (t, h, w) = {unit.at}" if unit.at else ""
    return f"{att.about} · {METHODS[att.method].title} · activation {att.activation:z.3g}{where}"


def subtitle(window: Window) -> str:
    numbers = window.numbers
    return (
        f"{window.spec.name} · weights: {window.spec.weights} · {window.clip.name}, frames "
        f"{numbers[0]}-{numbers[-1]}"
    )
