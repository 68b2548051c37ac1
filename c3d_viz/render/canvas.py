"""Pages of pictures with text: fonts, tiles, colour bars. Pillow draws the text, so it is crisp."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from ..errors import ShapeError

Picture = npt.NDArray[np.uint8]

INK = (24, 26, 31)
GRAY = (92, 97, 107)
PAPER = (255, 255, 255)
EDGE = (205, 208, 214)

MARGIN, GAP = 28, 8
TITLE, SUBTITLE, SMALL = 30, 19, 17

# A diverging map whose zero is dark, so that over a picture weak values stay unseen. Both ends
# are equally light; blue and orange differ for colour-blind people too.
_STOPS = (-1.0, -0.5, 0.0, 0.5, 1.0)
_BLUE_ORANGE = ((130, 208, 255), (28, 112, 206), (16, 16, 20), (192, 88, 8), (255, 192, 96))


def check_page(tile: int, columns: int = 1) -> None:
    """Raise ShapeError for tiles that no page has room for."""
    if not (1 <= tile <= 4096 and 1 <= columns <= 4096):
        raise ShapeError(f"tile and columns must be 1 to 4096, got {tile} and {columns}")


@functools.cache
def font(size: int, bold: bool = False) -> Any:
    """DejaVu Sans as matplotlib carries it: present on every machine, covers Greek and arrows."""
    import matplotlib

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts/ttf" / name), size)


@functools.cache
def colour_table(name: str) -> Picture:
    """(256, 3) uint8 RGB of a colour map: "blue-orange" or any of matplotlib's."""
    if name == "blue-orange":
        at = np.linspace(-1, 1, 256)
        table = [np.interp(at, _STOPS, channel) for channel in zip(*_BLUE_ORANGE, strict=True)]
        return np.asarray(np.round(np.stack(table, axis=1)), dtype=np.uint8)
    import matplotlib

    rgb = matplotlib.colormaps[name](np.linspace(0, 1, 256))[:, :3]
    return np.asarray(np.round(rgb * 255), dtype=np.uint8)


def colours(values: npt.NDArray[np.float32], name: str) -> Picture:
    """RGB (..., 3) of ``values`` in 0..1 by a colour map."""
    return colour_table(name)[np.clip(np.round(values * 255), 0, 255).astype(np.uint8)]


@functools.lru_cache(512)  # frame numbers and the line of the weights come back on every page
def text_width(text: str, size: int, bold: bool = False) -> int:
    """Pixels ``text`` takes from left to right."""
    return int(np.ceil(font(size, bold).getlength(text)))


def fitted(text: str, width: int, size: int, bold: bool = False) -> str:
    """``text``, its middle left out where it is wider than ``width`` pixels."""
    if text_width(text, size, bold) <= width:
        return text
    for keep in range(len(text) - 1, 0, -1):
        short = text[: (keep + 1) // 2] + "…" + text[len(text) - keep // 2 :]
        if text_width(short, size, bold) <= width:
            return short
    return "…"


def wrapped(text: str, width: int, size: int, bold: bool = False) -> list[str]:
    """Lines of ``text`` of at most ``width`` pixels, broken at spaces."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and text_width(longer, size, bold) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return [fitted(line, width, size, bold) for line in lines]


class Canvas:
    """A white page; positions are pixels from the top left."""

    def __init__(self, width: int, height: int) -> None:
        self._page: Picture = np.full((height, width, 3), PAPER[0], dtype=np.uint8)

    def text(
        self,
        x: int,
        y: int,
        text: str,
        size: int = 18,
        bold: bool = False,
        colour: tuple[int, int, int] = INK,
        anchor: str = "la",
    ) -> None:
        """Write one line. ``anchor`` as in Pillow: l/m/r across, a/m/s down."""
        mask, left, top = _letters(text, size, bold, anchor)
        x, y = x + left, y + top
        place = self._page[max(0, y) : max(0, y + len(mask)), max(0, x) : max(0, x + mask.shape[1])]
        shown = mask[max(0, -y) :, max(0, -x) :][: place.shape[0], : place.shape[1], None]
        ink = np.array(colour, dtype=np.int32)
        place[:] = (place * (255 - shown) + ink * shown + 127) // 255

    def paste(self, x: int, y: int, picture: Picture, border: bool = True) -> None:
        """Put a picture (H, W, 3) down, with a thin line around it."""
        height, width = picture.shape[:2]
        self._page[y : y + height, x : x + width] = picture
        if border:
            self.box(x - 1, y - 1, x + width, y + height)

    def box(
        self, left: int, top: int, right: int, bottom: int, colour: tuple[int, int, int] = EDGE
    ) -> None:
        """A rectangle of thin lines; the corners given belong to it."""
        cv2.rectangle(self._page, (left, top), (right, bottom), colour)

    def bar(
        self, x: int, y: int, width: int, picture: Picture, labels: tuple[str, ...], size: int = 16
    ) -> None:
        """A colour bar with labels spread evenly under it."""
        strip = cv2.resize(picture, (width, 18), interpolation=cv2.INTER_LINEAR)
        self.paste(x, y, np.asarray(strip, dtype=np.uint8))
        for i, label in enumerate(labels):
            share = i / (len(labels) - 1)
            at = x + round(share * (width - 1))
            self.box(at, y + 18, at, y + 24, GRAY)
            anchor = "la" if i == 0 else "ra" if i == len(labels) - 1 else "ma"
            self.text(at, y + 28, label, size, anchor=anchor)

    def array(self) -> Picture:
        """(H, W, 3) uint8 RGB: the page itself, no copy."""
        return self._page


@functools.lru_cache(128)
def _letters(
    text: str, size: int, bold: bool, anchor: str
) -> tuple[npt.NDArray[np.int32], int, int]:
    """How far a line covers each pixel, 0..255, and where that lies from the point it is put at."""
    letters = font(size, bold)
    left, top, right, bottom = (int(v) for v in letters.getbbox(text, anchor=anchor))
    mask = Image.new("L", (max(0, right - left), max(0, bottom - top)))
    ImageDraw.Draw(mask).text((-left, -top), text, font=letters, fill=255, anchor=anchor)
    return np.asarray(mask, dtype=np.int32), left, top


def enlarge(frame: Picture, height: int, width: int, smooth: bool = True) -> Picture:
    """Resize one picture (H, W, 3); ``smooth=False`` keeps every source pixel a square."""
    if frame.shape[:2] == (height, width):
        return frame
    shrinks = height < frame.shape[0] or width < frame.shape[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    resized = cv2.resize(frame, (width, height), interpolation=how if smooth else cv2.INTER_NEAREST)
    return np.asarray(resized, dtype=np.uint8)


class Header:
    """Title and the line of the weights; knows its height before the page exists."""

    def __init__(self, title: str, subtitle: str, width: int) -> None:
        room = width - 2 * MARGIN
        self.title = wrapped(title, room, TITLE, bold=True) if title else []
        self.subtitle = wrapped(subtitle, room, SUBTITLE) if subtitle else []
        self.height = MARGIN + 40 * len(self.title) + 27 * len(self.subtitle)
        self.height += 12 if self.title or self.subtitle else 0

    def draw(self, page: Canvas) -> None:
        """Write it at the top of the page."""
        y = MARGIN - 4
        for line in self.title:
            page.text(MARGIN, y, line, TITLE, bold=True)
            y += 40
        for line in self.subtitle:
            page.text(MARGIN, y, line, SUBTITLE, colour=GRAY)
            y += 27


class Legend:
    """What stands under the pictures: a colour bar with its meaning beside it, then notes.

    Knows its height before the page exists. Without ``map_name`` there is no bar.
    """

    def __init__(
        self,
        width: int,
        map_name: str | None,
        ends: tuple[str, ...],
        meaning: str,
        notes: Sequence[str] = (),
    ) -> None:
        room = width - 2 * MARGIN
        self.map_name, self.ends = map_name, ends
        self.length = 0 if map_name is None else min(420, room // 2)
        self.beside = self.length + 28 if self.length else 0
        self.meaning = wrapped(meaning, room - self.beside, SMALL)
        self.notes = [line for note in notes for line in wrapped(note, room, SMALL)]
        self.top = max(72 if self.length else 0, 23 * len(self.meaning) + 4) + 12
        self.height = self.top + 24 * len(self.notes) + MARGIN

    def draw(self, page: Canvas, y: int) -> None:
        """Write it from ``y`` on; it reaches to the page's end."""
        if self.map_name is not None:
            strip = colours(np.linspace(0, 1, 256, dtype=np.float32), self.map_name)[None]
            page.bar(MARGIN, y + 8, self.length, np.repeat(strip, 2, axis=0), self.ends)
        for n, line in enumerate(self.meaning):
            page.text(MARGIN + self.beside, y + 4 + 23 * n, line, SMALL)
        for n, line in enumerate(self.notes):
            page.text(MARGIN, y + self.top + 24 * n, line, SMALL, colour=GRAY)


def short(value: float) -> str:
    """Three significant digits."""
    return f"{value:z.3g}"
