"""Pictures of tuning: polar plots of units, a map of a layer, a figure along the layers."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .compare import CHANCE, Comparison
from .measures import Tuning
from .sweep import DIRECTIONS, FULL, Responses

Floats = npt.NDArray[np.float64]

# Okabe-Ito hues, which colour-blind people can tell apart
TRAINED, CONTROL, TEXTURE, INK = "#0072b2", "#70757d", "#d55e00", "#1c1f24"
SPRITE = "#009e73"
_ANGLES = np.radians([*DIRECTIONS, DIRECTIONS[0]])


def png(figure: Any, dpi: int = 110) -> bytes:
    """PNG bytes without dates or versions."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def units_figure(
    tuning: Tuning, responses: Responses, channels: Sequence[int], title: str, weights: str
) -> Any:
    """For each channel a polar plot of its directions and its speeds x wavelengths table."""
    from matplotlib.figure import Figure

    columns = min(4, len(channels))
    rows = -(-len(channels) // columns)
    figure = Figure(
        figsize=(4.0 * columns, 2.6 * rows + (1.1 if columns > 1 else 1.9)),
        facecolor="white",
        layout="constrained",
    )
    _head(figure, title, weights)
    grid = figure.add_gridspec(rows, 2 * columns, width_ratios=[1.5, 1] * columns)
    for place, channel in enumerate(channels):
        row, column = divmod(place, columns)
        polar = figure.add_subplot(grid[row, 2 * column], projection="polar")
        _polar(polar, tuning, channel)
        table = figure.add_subplot(grid[row, 2 * column + 1])
        _speeds(table, tuning, responses, channel)
    meaning = (
        "Polar: response by direction of drift (blue: grating, orange: texture, green: a cut-out "
        "on grey), each over its own largest. Table: response by speed (up) and wavelength (right) "
        "in the preferred direction."
    )
    figure.supxlabel(_wrapped(figure, meaning, 9), fontsize=9, color=CONTROL)
    return figure


def _polar(axis: Any, tuning: Tuning, channel: int) -> None:
    curves = (
        (tuning.sprite_curve, SPRITE), (tuning.texture_curve, TEXTURE), (tuning.curve, TRAINED)
    )  # fmt: skip
    for curve, colour in curves:
        values = curve[channel] / max(float(curve[channel].max()), 1e-30)
        axis.plot(_ANGLES, [*values, values[0]], color=colour, lw=1.8, marker="o", ms=2.5)
    axis.set_ylim(0, 1.05)
    axis.set_yticks([0.5, 1], ["", ""])
    axis.set_xticks(np.radians([0, 90, 180, 270]), ["→", "↑", "←", "↓"])
    axis.tick_params(pad=-2)
    head = f"channel {channel}"
    if tuning.silent[channel]:
        axis.set_title(f"{head}: silent", fontsize=10)
        return
    axis.set_title(
        f"{head}: {np.round(tuning.direction[channel]) % 360:.0f}°, "
        f"{tuning.speed[channel]:g} px/frame\n"
        f"DI {tuning.direction_index[channel]:.2f}, texture {tuning.texture_index[channel]:+z.2f}, "
        f"cut-out {tuning.sprite_index[channel]:+z.2f}",
        fontsize=8.5,
        color=INK,
    )


def _speeds(axis: Any, tuning: Tuning, responses: Responses, channel: int) -> None:
    direction = 0 if tuning.silent[channel] else DIRECTIONS.index(int(tuning.direction[channel]))
    table = responses.grating[channel, direction]
    axis.imshow(table, origin="lower", cmap="viridis", vmin=0, aspect="auto")
    speeds, waves = responses.grid.speeds, responses.grid.wavelengths
    axis.set_yticks(range(len(speeds)), [f"{s:g}" for s in speeds], fontsize=7)
    axis.set_xticks(range(len(waves)), [f"{w:g}" for w in waves], fontsize=7)


def layer_figure(
    tuning: Tuning,
    controls: Sequence[Tuning],
    comparisons: Mapping[str, Comparison],
    title: str,
    weights: str,
) -> Any:
    """All channels of a layer: tuning curves, preferred motion, the indices beside the control."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 5.6), facecolor="white", layout="constrained")
    _head(figure, title, weights)
    grid = figure.add_gridspec(2, 3, width_ratios=[1.2, 1, 1.1])
    alive = np.flatnonzero(~tuning.silent)
    axis = figure.add_subplot(grid[:, 0])
    order = alive[np.lexsort((-tuning.direction_index[alive], tuning.direction[alive]))]
    if order.size:
        curves = tuning.curve[order] / tuning.curve[order].max(1, keepdims=True)
        axis.imshow(curves, aspect="auto", cmap="viridis", vmin=0, vmax=1, interpolation="nearest")
    axis.set_xticks(range(len(DIRECTIONS)), [f"{d}°" for d in DIRECTIONS], fontsize=8)
    axis.set_ylabel(f"{alive.size} channels ({int(tuning.silent.sum())} silent), by direction")
    axis.set_title("response by direction, each channel over its largest", fontsize=10)
    _motions(figure, figure.add_subplot(grid[:, 1], projection="polar"), tuning, alive)
    for row, (name, comparison) in enumerate(comparisons.items()):
        axis = figure.add_subplot(grid[row, 2])
        _histogram(axis, name, tuning, controls, comparison)
    return figure


def _motions(figure: Any, polar: Any, tuning: Tuning, alive: npt.NDArray[np.intp]) -> None:
    """A dot a channel: preferred direction, speed outwards, colour and size the index."""
    spread = np.random.default_rng(0).uniform(-1, 1, (2, alive.size))  # equal ones lie apart
    index = tuning.direction_index[alive]
    dots = polar.scatter(
        np.radians(tuning.direction[alive] + 8 * spread[0]),
        tuning.speed[alive] + 0.12 * spread[1],
        c=index,
        s=12 + 50 * index,
        cmap="plasma",
        vmin=0,
        vmax=1,
        alpha=0.85,
    )
    figure.colorbar(dots, ax=polar, shrink=0.6, label="direction index")
    polar.set_ylim(0, FULL.speeds[-1] + 0.4)
    polar.set_xticks(np.radians([0, 90, 180, 270]), ["→", "↑", "←", "↓"])
    polar.set_title("preferred direction, and speed outwards (px/frame)", fontsize=10)


def _histogram(
    axis: Any, name: str, tuning: Tuning, controls: Sequence[Tuning], row: Comparison
) -> None:
    least = -1 if name in ("texture_index", "sprite_index") else 0
    bins = np.linspace(least, 1, 21).tolist()
    pooled = np.concatenate([getattr(t, name)[~t.silent] for t in controls])
    own = getattr(tuning, name)[~tuning.silent]
    for values, colour, label in ((pooled, CONTROL, "untrained"), (own, TRAINED, "this network")):
        if values.size:
            share = np.full(values.size, 1 / values.size)
            axis.hist(values, bins, weights=share, histtype="step", lw=2, color=colour, label=label)
    if np.isfinite(row.threshold):
        axis.axvline(row.threshold, color=CONTROL, ls=":", lw=1.5)
        axis.set_title(
            f"{row.share:.0%} [{row.low:.0%}, {row.high:.0%}] beyond the control's 95 %: "
            f"{row.answer}",
            fontsize=10,
        )
    axis.set_xlabel(name.replace("_", " "))
    axis.set_ylabel("share of channels")
    axis.legend(frameon=False, fontsize=9, loc="upper right")


def layers_figure(
    found: Mapping[str, Mapping[str, Comparison]], names: Sequence[str], title: str, weights: str
) -> Any:
    """Along the layers: medians beside each untrained network's, and the share beyond."""
    from matplotlib.figure import Figure

    layers = list(found)
    figure = Figure(figsize=(3.3 * len(names) + 0.5, 6.2), facecolor="white", layout="constrained")
    _head(figure, title, weights)
    axes = figure.subplots(2, len(names), squeeze=False, sharex=True)
    for column, name in enumerate(names):
        top, bottom = axes[0, column], axes[1, column]
        for x, layer in enumerate(layers):
            row = found[layer][name]
            apart = np.linspace(-0.18, 0.18, max(len(row.control_medians), 1))
            top.plot(
                x + apart[: len(row.control_medians)], row.control_medians, ".", color=CONTROL, ms=5
            )
            top.plot(x, row.median, "D", color=TRAINED, ms=7)
            bottom.plot(
                x + apart[: len(row.control_shares)], row.control_shares, ".", color=CONTROL, ms=5
            )
            if np.isfinite(row.share):
                bottom.plot([x, x], [row.low, row.high], color=TRAINED, lw=2)
                bottom.plot(x, row.share, "D", color=TRAINED, ms=7)
        bottom.axhline(CHANCE, color=CONTROL, lw=1, ls=":")
        top.set_title(name.replace("_", " "), fontsize=11)
        bottom.set_xticks(range(len(layers)), layers, rotation=40, ha="right", fontsize=9)
    axes[0, 0].set_ylabel("median of the channels")
    axes[1, 0].set_ylabel("share beyond the control's 95 %")
    figure.supxlabel(
        "Blue: this network (interval 95 %). Grey: each untrained network, below against the "
        "others. Dotted: 5 %, what an untrained network has.",
        fontsize=9,
        color=CONTROL,
    )
    return figure


def _head(figure: Any, title: str, weights: str) -> None:
    lines = f"{_wrapped(figure, title, 12)}\n{_wrapped(figure, weights, 12)}"
    figure.suptitle(lines, fontsize=12, color=INK, ha="left", x=0.01)


def _wrapped(figure: Any, text: str, size: int) -> str:
    """Broken into lines that fit the figure's width; a letter is about 0.55 of its size wide."""
    return textwrap.fill(text, max(20, int(figure.get_figwidth() * 72 / (0.55 * size))))
