"""The paper's Figure 4 for any clip and layer: frames, back-projections, and the curves below.

Rows share one frame axis: 16 frames on top; for every map its raw back-projection, its overlay,
and A(t), M(t), E(t). One colour scale per clip and map. The seed's place is marked.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...clips import Clip, cropped_frames, preprocess, read_clip, video_info, window_starts
from ...engine import top_units, trace
from ...errors import LayerError
from ...files import make_folder, try_folder, write_bytes
from ...methods import METHODS, Attribution, attribute_many
from ...nets import C3D, CONV_LAYERS, ModelSpec, receptive_field
from ...progress import Progress
from ...render import LIGHT, dress, overlay, raw_frames, write_video
from ...weights import NetworkChoice, choose
from ..measure.curves import Curves, curves
from ..measure.stimulus import stimulus
from ..types import Frames

_COLOURS = {"A": LIGHT.trained, "M": LIGHT.twin, "E": "#3d434b"}
_SEED = "#d81b60"
_METHODS = [name for name, how in METHODS.items() if how.rule is not None]
_NAME = 200  # bytes of a clip's name that fit into a file's


def make_figure(
    clip_path: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    layer: str = "conv5b",
    maps: int = 2,
    method: str = "deconvnet",
    network: NetworkChoice | None = None,
    loaded: tuple[C3D, ModelSpec] | None = None,
    called: str | None = None,
    model: str = "compact",
    weights: str | os.PathLike[str] | None = None,
    start: int | None = None,
    seed: int = 0,
    overrides: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> list[Path]:
    """The paper's Figure 4 for one window of a clip: PNG, PDF and mp4 in the folder ``out``.

    Args:
        clip_path: video file or folder of frames.
        out: folder for the files; made if missing.
        layer: any conv layer; the appendix has conv2a and conv3b.
        maps: how many of the strongest feature maps.
        method: deconvnet, guided or gradient, each one walk back with a value for every frame:
            curves of a class activation map would show interpolated time as measured.
        start: first frame of the window; None takes the middle of the video.
        network: which network; ``model, weights, seed, overrides`` are those arguments of
            ``load_model`` in its place.
        loaded: a network and its spec in place of all these.
        called: what the figure calls the clip, for a file that lies here under another name.

    Returns:
        The files that were written, the PNG first.

    Raises:
        ExportError: ``out`` cannot be written to.
        LayerError: no such conv layer, method or number of maps.
        ClipError, WeightsError: the clip cannot be read, the network not be loaded.
    """
    try_folder(out)
    if layer not in CONV_LAYERS:
        raise LayerError(f"the figure takes a conv layer, {', '.join(CONV_LAYERS)}; got {layer!r}")
    if method not in _METHODS:
        raise LayerError(f"the figure takes one walk back, {', '.join(_METHODS)}; got {method!r}")
    choice = choose(network, model, weights, seed, **(overrides or {}))
    net, spec = loaded or choice.load_c3d()
    channels = dict(net.named_modules())[layer].out_channels
    if not 1 <= maps <= int(channels):  # type: ignore[call-overload,unused-ignore]
        raise LayerError(f"{layer} has {channels} maps; --maps must be 1 to {channels}, got {maps}")
    if start is None:
        start = window_starts(video_info(clip_path).frames, spec.input.frames, windows=1)[0]
    clip = read_clip(clip_path, start, spec.input.frames)
    clip = replace(clip, source=called or clip.source)

    def tell(done: int, what: str) -> None:
        if progress is not None:
            progress(done, maps + 2, what)

    tell(0, f"{clip.name}: {layer}")
    x = preprocess(clip, spec.input)
    units = top_units(trace(net, x, [layer]), layer, maps)
    attributions = []
    for number, att in enumerate(attribute_many(net, x, units, method), start=1):
        attributions.append(att)
        tell(number, f"map {att.unit.channel}")
    frames = cropped_frames(clip, spec.input)
    measured = curves(np.stack([att.values for att in attributions]), stimulus(frames))
    seeds = [seed_place(net, att) for att in attributions]
    pictures = [
        (raw_frames(att, channel_order=spec.input.channel_order), overlay(frames, att), place)
        for att, place in zip(attributions, seeds, strict=True)
    ]
    figure = draw(frames, pictures, attributions, measured, caption(clip, spec, method))
    make_folder(out)
    files = [Path(out, name) for name in file_names(clip.name, layer, method)]
    for file, dpi in zip(files[:2], (200, 300), strict=True):
        write_bytes(file, _render(figure, file.suffix[1:], dpi))
    tell(maps + 1, "video")
    write_video(files[2], film(frames, pictures), max(clip.fps / 3, 5.0))
    tell(maps + 2, "written")
    return files


def file_names(clip: str, layer: str, method: str) -> list[str]:
    """Names of the figure's PNG, PDF and mp4; a clip's name may be longer than fits into them."""
    short = os.fsencode(clip)[:_NAME].decode(errors="ignore")
    return [f"{short}-{layer}-{method}.{suffix}" for suffix in ("png", "pdf", "mp4")]


def caption(clip: Clip, spec: ModelSpec, method: str) -> str:
    """One line: clip, window, method, weights."""
    last = clip.start + len(clip.frames) - 1
    return f"{clip.name}, frames {clip.start}-{last}; {METHODS[method].title}; {spec.weights}"


def seed_place(network: Any, att: Attribution) -> tuple[float, float, float, float]:
    """Where the unit sits in the input: first and last frame of its time cell, y, x of its centre.

    A conv5b unit sees the whole clip; its cell is the eight frames its time step stands for.
    """
    field = receptive_field(network, att.unit.layer)
    assert att.unit.at is not None
    t, h, w = att.unit.at
    total, height, width = att.values.shape[1:]
    y, x = (
        min(max(start + (size - 1) / 2 + i * step, 0), length - 1)
        for i, step, size, start, length in zip(
            (h, w), field.step[1:], field.size[1:], field.start[1:], (height, width), strict=True
        )
    )
    first = t * field.step[0]
    return float(first), float(min(first + field.step[0], total) - 1), y, x


def draw(
    frames: Frames,
    pictures: Sequence[tuple[Frames, Frames, tuple[float, float, float, float]]],
    attributions: Sequence[Attribution],
    measured: Curves,
    title: str,
) -> Any:
    """The figure; pictures are (raw, overlay, seed place) per map."""
    from matplotlib.figure import Figure

    total = len(frames)
    heights = [1.0]
    for _ in pictures:
        heights += [1.0, 1.0, 1.75]
    width, left, right = 16.0, 1.15, 0.75
    cell = (width - left - right) / total
    gap = 0.10
    height = 0.75 + sum(h * cell + gap for h in heights) + 0.42 * len(pictures)
    figure = Figure(figsize=(width, height), facecolor="white")

    def say(x: float, y: float, text: str, size: float, **place: Any) -> None:
        figure.text(x / width, y / height, text, fontsize=size, color=LIGHT.ink, **place)

    say(left, height - 0.22, title, 11, va="center")
    top = height - 0.62
    for t in range(total):
        say(left + (t + 0.5) * cell, top + 0.07, str(t), 8.5, ha="center")

    def strip(images: Frames, label: str, mark: tuple[float, float, float, float] | None) -> None:
        nonlocal top
        top -= cell
        box = (left / width, top / height, total * cell / width, cell / height)
        axis = figure.add_axes(box)
        size = images.shape[2]
        axis.imshow(_joined(images), interpolation="lanczos", aspect="auto")
        axis.set_axis_off()
        if mark is not None:
            for t in range(int(mark[0]), int(mark[1]) + 1):
                axis.plot(
                    t * (size + 2) + mark[3], mark[2], "+", color=_SEED, ms=7, mew=1.3, clip_on=True
                )
        axis.set_xlim(-0.5, total * (size + 2) - 2.5)
        say(left - 0.1, top + cell / 2, label, 9, ha="right", va="center")
        top -= gap

    strip(frames, "clip", None)
    for number, ((raw, over, place), att) in enumerate(zip(pictures, attributions, strict=True)):
        strip(raw, f"map {att.unit.channel}\nraw", None)
        strip(over, "overlay", place)
        top -= 1.75 * cell
        box = (left / width, top / height, total * cell / width, 1.75 * cell / height)
        _curves(figure.add_axes(box), measured, number, place)
        top -= gap + 0.42
    return figure


def _joined(images: Frames) -> Frames:
    """(T, H, W, 3) side by side with two white pixels between."""
    total, height, width = images.shape[:3]
    canvas = np.full((height, total * (width + 2) - 2, 3), 255, np.uint8)
    for t, image in enumerate(images):
        canvas[:, t * (width + 2) : t * (width + 2) + width] = image
    return canvas


def _curves(
    axis: Any,
    measured: Curves,
    unit: int,
    place: tuple[float, float, float, float],
) -> None:
    total = measured.A.shape[1]
    dress(axis, LIGHT)
    axis.axvspan(place[0] - 0.5, place[1] + 0.5, color=_SEED, alpha=0.07, lw=0)
    axis.axhline(0, color=LIGHT.faint, lw=1)
    time = np.arange(total)
    for key, label in (("A", "A(t) appearance"), ("M", "M(t) motion")):
        values: npt.NDArray[np.float64] = getattr(measured, key)[unit]
        axis.plot(time, values, "o-", color=_COLOURS[key], lw=1.8, ms=4, label=label)
    if not np.isfinite(measured.A[unit]).any() and not np.isfinite(measured.M[unit]).any():
        axis.text(total / 2 - 0.5, 0, "A and M undefined", ha="center", va="center", fontsize=9)
    axis.set_xlim(-0.5, total - 0.5)
    axis.set_xticks(time)
    axis.set_ylabel("partial\nSpearman", fontsize=9)
    from matplotlib.patches import Patch

    mass = axis.twinx()
    dress(mass, LIGHT)
    mass.spines["right"].set_visible(True)
    mass.bar(time, measured.E[unit], color=_COLOURS["E"], alpha=0.16, width=0.8, label="E(t) mass")
    mass.set_ylim(0, max(0.2, 1.15 * float(np.nan_to_num(measured.E[unit]).max())))
    mass.set_ylabel("E(t)", fontsize=9)
    axis.set_zorder(mass.get_zorder() + 1)
    axis.patch.set_visible(False)
    handles, labels = axis.get_legend_handles_labels()
    more, names = mass.get_legend_handles_labels()
    seed = Patch(color=_SEED, alpha=0.15)
    legend = "frames of the seed's time cell (+ its place)"
    axis.legend(
        [*handles, *more, seed],
        [*labels, *names, legend],
        loc="upper left",
        bbox_to_anchor=(0, -0.12),
        ncols=4,
        frameon=False,
        fontsize=8.5,
    )


def film(frames: Frames, pictures: Sequence[tuple[Frames, Frames, Any]], scale: int = 2) -> Frames:
    """(T, H', W', 3): the clip, then raw and overlay of every map, side by side."""
    gap = np.full((*frames.shape[:2], 4, 3), 255, np.uint8)
    parts: list[Frames] = [frames]
    for raw, over, _ in pictures:
        parts += [gap, raw, gap, over]
    wide = np.concatenate(parts, axis=2)
    return np.ascontiguousarray(wide.repeat(scale, axis=1).repeat(scale, axis=2))


def _render(figure: Any, kind: str, dpi: int) -> bytes:
    buffer = io.BytesIO()
    metadata = {"Software": None} if kind == "png" else {"CreationDate": None, "Producer": None}
    figure.savefig(buffer, format=kind, dpi=dpi, metadata=metadata)
    return buffer.getvalue()
