"""A map that shows itself in a notebook: a video inside of HTML, a filmstrip where none can be."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from .canvas import Picture
from .filmstrip import filmstrip, scale_sentence, title_of
from .maps import notes_of, overlay, values_of
from .media import encode_png, encode_video

_SIDE = 336  # pixels of the video in the notebook, about


@dataclass(frozen=True)
class Inline:
    """What a notebook shows: HTML with the video and, folded, the filmstrip; a PNG elsewhere.

    Attributes:
        title: whom the map is about.
        lines: weights, scale and notes.
        video: H.264 in mp4.
        strip: the filmstrip as PNG.
    """

    title: str
    lines: tuple[str, ...]
    video: bytes
    strip: bytes

    def __repr__(self) -> str:
        return "\n".join((self.title, *self.lines))

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        strip = base64.b64encode(self.strip).decode()
        video = base64.b64encode(self.video).decode()
        title = escape(self.title)
        words = "".join(f"<div>{escape(line)}</div>" for line in self.lines)
        html = (
            f"<figure><figcaption><strong>{title}</strong></figcaption>"
            f'<video src="data:video/mp4;base64,{video}" loop muted autoplay playsinline controls '
            f'width="{_SIDE}" aria-label="{title}"></video>{words}'
            f"<details><summary>frame by frame</summary>"
            f'<img src="data:image/png;base64,{strip}" alt="{title}, frame by frame"></details>'
            f"</figure>"
        )
        return {"text/html": html, "image/png": strip, "text/plain": repr(self)}


def inline(
    att: Any,
    frames: Picture | None = None,
    *,
    lines: Sequence[str] = (),
    fps: float = 8,
    numbers: Sequence[int] | None = None,
) -> Inline:
    """A map, laid over the pixels that the net saw, or by itself on black.

    Args:
        att: Attribution, or array (C, T, H, W).
        frames: (T, H, W, 3) uint8 RGB; None is black.
        lines: what is said of it, the weights first; the scale and the map's notes follow.
        fps: of the video.
        numbers: frame numbers in the source.

    Raises:
        ShapeError: shapes that do not fit, or NaN.
    """
    values = values_of(att)
    below = np.zeros((*values.shape[1:], 3), np.uint8) if frames is None else frames
    drawn = overlay(below, att)
    unit = getattr(att, "unit", None)
    about = [f"activation {att.activation:z.3g} at {unit.at}"] if unit and unit.at else []
    words = (*lines, *about, scale_sentence(att), *notes_of(att))
    video = encode_video(drawn, fps, scale=max(1, _SIDE // drawn.shape[2]))
    strip = filmstrip(
        below, att, subtitle=lines[0] if lines else "", numbers=numbers, overlays=drawn, tile=128
    )
    return Inline(title_of(att) or "attribution", words, video, encode_png(strip))
