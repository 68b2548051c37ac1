"""Figures of the test, for a light and a dark page. Matplotlib objects only, no pyplot state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...nets import CONV_LAYERS
from ...render import Theme, legend, new_figure
from ...stats import Floats, nanmean
from ...units import KINDS, shares
from ..judge.analysis import Analysis
from ..judge.description import stacked
from ..measure.study import Study
from ..types import DECIDING, DELTA, TRAINED, TWIN

TITLES = {"gradient": "gradient", "guided": "guided backprop"}
_KIND_COLOURS = {"dynamic": "#d55e00", "static": "#0072b2", "joint": "#cc79a7", "none": "#9aa0a8"}


def figures(study: Study, analysis: Analysis) -> dict[str, Callable[[Theme], Any]]:
    """Name -> function that draws the figure in a theme; in the order of the report."""
    drawn: dict[str, Callable[[Theme], Any]] = {
        "effect": lambda t: effect_figure(analysis, t),
        "curves": lambda t: curves_figure(study, t),
        "clips": lambda t: clips_figure(study, analysis, t),
        "energy": lambda t: energy_figure(study, t),
        "depth": lambda t: depth_figure(study, analysis, t),
    }
    if study.shared(TRAINED) is not None:
        drawn["units"] = lambda t: units_figure(study, t)
    return drawn


def _over_frames(axis: Any, theme: Theme, title: str) -> None:
    axis.set_title(title, color=theme.ink, fontsize=10)
    axis.set_xlim(0, 15)
    axis.set_xticks(range(0, 16, 5))


def _groups(study: Study, theme: Theme) -> list[tuple[str, list[str], str]]:
    reinit = [net.name for net in study.networks if net.kind == "reinit"]
    groups = [("re-initialised", reinit, theme.reinit)] if reinit else []
    if any(net.name == TWIN for net in study.networks):
        groups.append(("2D twin", [TWIN], theme.twin))
    return [*groups, ("trained", [TRAINED], theme.trained)]


def _band(axis: Any, curves: Floats, colour: str, label: str) -> None:
    """Mean over networks and clips, with two standard errors over clips. (networks, clips, T)."""
    per_clip = nanmean(curves, 0)  # (clips, T)
    mean = nanmean(per_clip, 0)
    count = np.maximum(np.isfinite(per_clip).sum(0), 1)
    spread = np.sqrt(nanmean((per_clip - mean) ** 2, 0) / np.maximum(count - 1, 1))
    time = np.arange(len(mean))
    axis.fill_between(time, mean - 2 * spread, mean + 2 * spread, color=colour, alpha=0.18, lw=0)
    axis.plot(time, mean, color=colour, lw=2, label=label, marker="o", ms=3)


def curves_figure(study: Study, theme: Theme) -> Any:
    """A(t), M(t) and Delta(t) with bands, one row a method."""
    figure, axes = new_figure(theme, (10.5, 5.6), len(DECIDING), 3, sharex=True, sharey="col")
    for row, method in enumerate(DECIDING):
        for column, key in enumerate(("A", "M", "Delta")):
            axis = axes[row, column]
            axis.axhline(0, color=theme.faint, lw=1)
            axis.axvline(7.5, color=theme.faint, lw=1, ls=":")
            for label, names, colour in _groups(study, theme):
                if key == "Delta":
                    values = stacked(study, names, "M", row) - stacked(study, names, "A", row)
                else:
                    values = stacked(study, names, key, row)
                _band(axis, values, colour, label)
            head = {"A": "A(t), appearance", "M": "M(t), motion", "Delta": "M(t) - A(t)"}[key]
            _over_frames(axis, theme, f"{head}  ({TITLES[method]})")
            if row == len(DECIDING) - 1:
                axis.set_xlabel("frame")
    axes[0, 0].set_ylabel("partial Spearman")
    axes[1, 0].set_ylabel("partial Spearman")
    legend(figure, axes[0, 0], theme)
    return figure


def energy_figure(study: Study, theme: Theme) -> Any:
    """E(t) for every group, and for the trained network on frozen clips."""
    figure, axes = new_figure(theme, (10.5, 3.2), 1, len(DECIDING), sharey=True)
    frozen = [arrays["E"][:1].astype(np.float64) for arrays in study.frozen()]
    for column, method in enumerate(DECIDING):
        axis = axes[0, column]
        axis.axhline(1 / 16, color=theme.faint, lw=1)
        for label, names, colour in _groups(study, theme):
            _band(axis, stacked(study, names, "E", column), colour, label)
        if frozen:
            rows = np.stack([nanmean(e[0, column], 0) for e in frozen])[None]
            _band(axis, rows, theme.frozen, "trained, frozen clip")
        _over_frames(axis, theme, f"E(t)  ({TITLES[method]})")
        axis.set_xlabel("frame")
    axes[0, 0].set_ylim(bottom=0)  # after all is drawn: the axes share it
    axes[0, 0].set_ylabel("share of |R|")
    legend(figure, axes[0, 0], theme)
    return figure


def clips_figure(study: Study, analysis: Analysis, theme: Theme) -> Any:
    """P and K of every clip, with the range of P over the re-initialised networks."""
    names = [window.name for window in study.windows]
    height = max(2.8, 0.26 * len(names) + 1.5)
    figure, axes = new_figure(theme, (10.5, height), 1, len(DECIDING), sharey=True, sharex=True)
    reinit = [net.name for net in study.networks if net.kind == "reinit"]
    order = np.argsort(np.nan_to_num(analysis.p[TRAINED][DECIDING[0]], nan=-9.0), kind="stable")
    place = np.arange(len(names))
    for column, method in enumerate(DECIDING):
        axis = axes[0, column]
        axis.axvline(0, color=theme.faint, lw=1)
        if reinit:
            table = np.stack([analysis.p[name][method] for name in reinit], 1)[order]
            low, high = (f(np.where(np.isfinite(table), table, 0.0), 1) for f in (np.min, np.max))
            axis.hlines(
                place, low, high, color=theme.reinit, lw=5, alpha=0.35, label="P, re-initialised"
            )
        p, k = analysis.p[TRAINED][method][order], analysis.k[TRAINED][method][order]
        axis.plot(p, place, "o", color=theme.trained, ms=6, label="P, trained")
        axis.plot(k, place, "D", mfc="none", mec=theme.twin, ms=5, label="K, trained")
        for y in place[~np.isfinite(p)]:
            axis.text(0, y, "undefined", color=theme.ink, fontsize=8, va="center", ha="center")
        axis.set_title(TITLES[method], color=theme.ink, fontsize=10)
        axis.set_xlabel("contrast: later minus earlier half of M - A")
        axis.grid(axis="y", color=theme.faint, lw=0.4)
    axes[0, 0].set_yticks(place, [names[i] for i in order], fontsize=8)
    legend(figure, axes[0, 0], theme)
    return figure


def effect_figure(analysis: Analysis, theme: Theme) -> Any:
    """T with its interval, and the intervals of the controls that have one."""
    rows: list[tuple[str, float, float, float, str]] = []
    for method, e in analysis.effects.items():
        rows.append((f"T, {TITLES[method]}", e.T.value, e.T.low, e.T.high, theme.trained))
    intervals: dict[str, Any] = analysis.data["control_intervals"]  # type: ignore[assignment]
    for name in ("shuffled", "weight permutation", "2D twin"):
        for method, i in intervals.get(name, {}).items():
            label = f"{name}, {TITLES[method]}"
            rows.append((label, i["value"], i["low"], i["high"], theme.reinit))
    figure, axes = new_figure(theme, (10.5, 0.36 * len(rows) + 1.2), 1, 1)
    axis = axes[0, 0]
    axis.axvspan(-DELTA, DELTA, color=theme.faint, alpha=0.35, lw=0)
    axis.axvline(0, color=theme.ink, lw=0.8)
    for y, (_, value, low, high, colour) in enumerate(rows):
        axis.hlines(y, low, high, color=colour, lw=2.5)
        axis.plot([value], [y], "o", color=colour, ms=7)
    axis.set_yticks(range(len(rows)), [row[0] for row in rows])
    axis.invert_yaxis()
    axis.set_xlabel("contrast, with 95 % interval; shaded: too small to matter")
    return figure


def depth_figure(study: Study, analysis: Analysis, theme: Theme) -> Any:
    """Similarity of the map to the original, against the layers that were made random."""
    votes: dict[str, Any] = analysis.data["does_not_vote"]  # type: ignore[assignment]
    depths = votes["similarity_by_depth"]
    layers = depths["layers"]
    figure, axes = new_figure(theme, (10.5, 3.0), 1, 3, sharey=True)
    titles = {"spearman": "Spearman", "beyond_paths": "Spearman, paths off", "ssim": "SSIM"}
    for column, (key, title) in enumerate(titles.items()):
        axis = axes[0, column]
        for method, colour in zip(DECIDING, (theme.trained, theme.twin), strict=True):
            axis.plot(layers, depths[method][key], "o-", color=colour, label=TITLES[method], ms=4)
        if key == "beyond_paths":
            axis.axhline(0.5, color=theme.faint, lw=1, ls="--")
        axis.set_title(title, color=theme.ink, fontsize=10)
        axis.set_xlabel("random from conv5b down to")
        axis.set_ylim(-0.1, 1.05)
        axis.tick_params(axis="x", labelsize=8, rotation=45)
    axes[0, 0].set_ylabel("similarity to the original")
    legend(figure, axes[0, 2], theme)
    return figure


def units_figure(study: Study, theme: Theme) -> Any:
    """Share of dynamic, static, joint and other units by layer, one panel a network."""
    nets = [n for n in (TRAINED, TWIN) if f"shared-{n}" in study.measured]
    figure, axes = new_figure(theme, (10.5, 3.4), 1, len(nets), sharey=True)
    titles = {TRAINED: study.settings.network.model, TWIN: f"{study.settings.twin} (2D twin)"}
    for column, net in enumerate(nets):
        axis, by_layer = axes[0, column], shares(study.measured[f"shared-{net}"])
        bottom = np.zeros(len(CONV_LAYERS))
        for kind in KINDS:
            part = np.array([by_layer[layer][kind] for layer in CONV_LAYERS])
            axis.bar(CONV_LAYERS, part, bottom=bottom, color=_KIND_COLOURS[kind], label=kind)
            for x, (low, size) in enumerate(zip(bottom, part, strict=True)):
                if size > 0.06:
                    axis.text(
                        x, low + size / 2, f"{size:.0%}", ha="center", va="center", fontsize=7,
                        color="#ffffff" if kind != "none" else "#1c1f24",
                    )  # fmt: skip
            bottom += part
        unrelated = max(by_layer[layer]["unrelated"] for layer in CONV_LAYERS)
        axis.set_title(
            f"{titles[net]}; unrelated pairs: at most {unrelated:.0%}",
            color=theme.ink,
            fontsize=10,
        )
        axis.tick_params(axis="x", labelsize=8)
    axes[0, 0].set_ylabel("share of channels")
    legend(figure, axes[0, 0], theme)
    return figure
