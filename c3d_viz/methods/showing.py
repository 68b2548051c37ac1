"""A map in a notebook, over its clip: as a video, and as a matplotlib figure to restyle."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arguments import checked
from ..clips import Clip, cropped_frames
from ..errors import ShapeError
from ..nets import InputSpec, ModelSpec
from ..render import LIGHT, SEQUENTIAL, Inline, Picture, colour_table, inline, overlay, scale_of
from ..render import magnitude as magnitude_of
from .registry import METHODS
from .types import Attribution

_SLOWER = 2  # as an export's videos


@checked(ShapeError)
def show(
    att: Attribution, clip: Clip | Picture, spec: ModelSpec | InputSpec | None = None
) -> Inline:
    """What a notebook shows of a map: a video over the clip, with its scale, weights and notes.

    The last line of a cell shows it; an ``Attribution`` alone shows itself without the clip.

    Args:
        clip: the window that was looked into, or its pixels as the net saw them (T, H, W, 3).
        spec: the second value of ``load_model``: how the clip is cropped, and the weights' line.

    Raises:
        ShapeError: the clip is not the one of the map, or needs a spec.
    """
    frames, numbers = _pixels(att, clip, spec)
    fps = clip.fps / clip.stride / _SLOWER if isinstance(clip, Clip) else 8.0
    return inline(att, frames, lines=_lines(clip, spec), fps=max(1.0, fps), numbers=numbers)


@checked(ShapeError)
def figure(
    att: Attribution,
    clip: Clip | Picture,
    spec: ModelSpec | InputSpec | None = None,
    *,
    columns: int = 8,
) -> Any:
    """A matplotlib Figure of a map: frames above, the map over them below, one colour bar.

    It is an ordinary Figure (``figure.axes``, ``figure.savefig``) and belongs to no pyplot state;
    a notebook draws it once matplotlib.pyplot has been imported there.

    Args:
        clip, spec: as in ``show``.
        columns: so many frames, spread evenly from the first to the last.

    Raises:
        ShapeError: as ``show``; columns below 1.
    """
    if columns < 1:
        raise ShapeError(f"columns must be 1 or more, got {columns}")
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap, Normalize
    from matplotlib.figure import Figure

    frames, numbers = _pixels(att, clip, spec)
    drawn = overlay(frames, att)
    columns = min(columns, len(frames))
    chosen = np.linspace(0, len(frames) - 1, columns).round().astype(int)
    height = 1.4 * frames.shape[1] / frames.shape[2]
    page = Figure(figsize=(1.4 * columns + 0.8, 2 * height + 1.2), layout="constrained")
    axes = page.subplots(2, columns, squeeze=False)
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
    for column, index in enumerate(chosen):
        axes[0, column].set_title(f"frame {numbers[index]}", fontsize=9)
        axes[0, column].imshow(frames[index])
        axes[1, column].imshow(drawn[index])
    axes[0, 0].set_ylabel("clip")
    axes[1, 0].set_ylabel("map")
    upper = float(scale_of(magnitude_of(att)).max())
    colours = ListedColormap(colour_table(SEQUENTIAL) / 255)
    bar = page.colorbar(
        ScalarMappable(Normalize(0, upper or 1.0), colours), ax=list(axes[1]), fraction=0.02
    )
    bar.set_label("|attribution|")
    title = f"{att.about} · {METHODS[att.method].title if att.method in METHODS else att.method}"
    page.suptitle(title, fontsize=11)
    page.supxlabel("\n".join((*_lines(clip, spec), *att.notes)), fontsize=8, color=LIGHT.reinit)
    return page


def _pixels(
    att: Attribution, clip: Clip | Picture, spec: ModelSpec | InputSpec | None
) -> tuple[Picture, list[int]]:
    """The pixels that the net saw, and their numbers in the source."""
    wanted = att.values.shape[1:]
    if isinstance(clip, Clip):
        numbers = [clip.start + i * clip.stride for i in range(len(clip.frames))]
        if spec is not None:
            takes = spec.input if isinstance(spec, ModelSpec) else spec
            return cropped_frames(clip, takes), numbers
        if clip.frames.shape[:3] != wanted:
            raise ShapeError(
                f"the clip is {clip.frames.shape[:3]} and the map {wanted} (T, H, W): give spec, "
                f"the second value of load_model, which says how it was cropped"
            )
        return clip.frames, numbers
    if clip.shape != (*wanted, 3):
        raise ShapeError(f"the frames are {clip.shape} and the map {wanted} (T, H, W)")
    return clip, list(range(len(clip)))


def _lines(clip: Clip | Picture, spec: ModelSpec | InputSpec | None) -> list[str]:
    words = [f"{spec.name} · weights: {spec.weights}"] if isinstance(spec, ModelSpec) else []
    if isinstance(clip, Clip):
        last = clip.start + (len(clip.frames) - 1) * clip.stride
        words.append(f"{clip.name}, frames {clip.start}-{last}")
    return [" · ".join(words)] if words else []
