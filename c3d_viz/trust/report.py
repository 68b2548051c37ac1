"""report.html, result.json and the figures of a check."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..files import write_bytes, write_json, write_text
from ..methods import METHODS
from ..render import DARK, LIGHT, REPORT_STYLE, Theme, legend, new_figure, png, themed
from ..stats import Interval
from .baselines import BASELINES
from .cascade import MOST
from .judge import Judged

# metric, title, whether a high number is good (None: neither)
_PANELS: tuple[tuple[str, str, bool | None], ...] = (
    ("cascade", "likeness left under random weights", False),
    ("iou", "IoU with the object", True),
    ("faithfulness grey", "faithfulness, grey filling", True),
    ("faithfulness neighbour", "faithfulness, neighbour filling", True),
    ("stability shift", "likeness after a shift of 1 pixel", True),
    ("motion specificity", "motion specificity", None),
)
_TABLE = (
    "cascade", "cascade beyond paths", "cascade ssim", "one layer", "share inside", "pointing",
    "iou", "faithfulness grey", "faithfulness blurred", "faithfulness neighbour", "average drop",
    "infidelity", "max-sensitivity", "motion specificity", "stability shift", "stability noise",
    "stability compression",
)  # fmt: skip


def write_report(out: Path, judged: Judged, about: Mapping[str, Any], seconds: float) -> None:
    """Write result.json, a PNG a figure, and the page; the page last."""
    write_json(
        out / "result.json",
        {
            **about,
            "valid": judged.valid,
            "controls": [asdict(control) for control in judged.controls],
            "summaries": [
                {**asdict(s), "interval": {k: _plain(v) for k, v in asdict(s.interval).items()}}
                for s in judged.summaries
            ],
            "sentences": [
                {"layer": layer, "method": method, "lines": lines}
                for (layer, method), lines in judged.sentences.items()
            ],
        },
    )
    pictures = []
    for name, (draw, caption) in _figures(judged).items():
        light, dark = png(draw(LIGHT)), png(draw(DARK))
        write_bytes(out / f"{name}.png", light)
        pictures.append(themed(light, dark, f"{caption} Weights in use: {about['weights']}."))
    write_text(out / "report.html", _page(judged, about, pictures, seconds))


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _figures(judged: Judged) -> dict[str, tuple[Callable[[Theme], Any], str]]:
    figures: dict[str, tuple[Callable[[Theme], Any], str]] = {}
    for number, layer in enumerate(judged.layers):
        figures[f"numbers-{number + 1}"] = (
            lambda theme, layer=layer: _numbers(judged, layer, theme),  # type: ignore[misc]
            f"{layer}: means over source videos with 95 % intervals; grey rows are maps that no "
            f"network made. Arrows point to what is good.",
        )
    figures["cascade"] = (
        lambda theme: _cascade(judged, theme),
        "Spearman correlation with the original map, as layers are made random from the unit's own "
        "down to the first.",
    )
    return figures


def _numbers(judged: Judged, layer: str, theme: Theme) -> Any:
    names = [*judged.methods, *BASELINES]
    figure, axes = new_figure(theme, (11, 1.2 + 0.42 * len(names) * 2), 2, 3, sharey=True)
    for axis, (metric, title, high) in zip(axes.flat, _PANELS, strict=True):
        for row, name in enumerate(names):
            found = judged.find(layer, name, metric)
            if found is None or math.isnan(found.value):
                continue
            colour = theme.trained if name in judged.methods else theme.reinit
            low, up = (v if math.isfinite(v) else found.value for v in (found.low, found.high))
            axis.plot([low, up], [row, row], color=colour, lw=2, solid_capstyle="round")
            axis.plot([found.value], [row], "o", color=colour, ms=5)
        arrow = {True: " \N{RIGHTWARDS ARROW}", False: " \N{LEFTWARDS ARROW}", None: ""}[high]
        axis.set_title(title + arrow, color=theme.ink, fontsize=10)
        axis.grid(axis="x", color=theme.faint, lw=0.6)
        axis.set_yticks(range(len(names)), names)
        axis.set_ylim(len(names) - 0.5, -0.5)
    return figure


def _cascade(judged: Judged, theme: Theme) -> Any:
    columns = len(judged.layers)
    figure, axes = new_figure(theme, (max(11, 5.5 * columns), 4), 1, columns, sharey=True)
    styles = ("-", "--", "-.", ":")
    colours = (theme.trained, theme.twin, theme.frozen, theme.reinit)
    for axis, layer in zip(axes.flat, judged.layers, strict=True):
        for number, method in enumerate(judged.methods):
            steps = [judged.find(layer, method, f"cascade at {i}") for i in range(MOST)]
            values = [s.value for s in steps if s is not None]
            if values:
                axis.plot(
                    [i / len(values) for i in range(len(values) + 1)],
                    [1.0, *values],
                    styles[number // len(colours) % len(styles)],
                    color=colours[number % len(colours)],
                    label=method,
                    marker="o",
                    ms=3,
                )
        axis.axhline(0.5, color=theme.faint, lw=1)
        axis.set_ylim(-0.2, 1.05)
        axis.set_title(layer, color=theme.ink, fontsize=10)
        axis.set_xlabel("share of layers that are random", color=theme.ink)
    legend(figure, axes.flat[-1], theme)
    return figure


def _page(judged: Judged, about: Mapping[str, Any], pictures: list[str], seconds: float) -> str:
    def say(text: object) -> str:
        return html.escape(str(text))

    state = "supported" if judged.valid else "invalid"
    head = (
        "All positive controls came out right."
        if judged.valid
        else "INVALID: a positive control came out wrong; nothing below can be relied on."
    )
    videos = {case["name"] for case in about["cases"] if not case["synthetic"]}
    made = len(about["cases"]) - len(videos)
    masks = sum(case["masks"] for case in about["cases"])
    controls = "".join(
        f"<tr><td>{say(c.name)}</td><td class='{'right' if c.right else 'wrong'}'>"
        f"{'right' if c.right else 'wrong'}</td><td>{say(c.says)}</td></tr>"
        for c in judged.controls
    )
    untrained = (
        "" if about["trained"] else "<p class='wrong'>The network in this run is not trained.</p>"
    )
    skipped = "".join(f"<li>{say(line)}</li>" for line in about["skipped"])
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>May these maps be believed? {say(about["model"])}</title>
<style>{REPORT_STYLE}</style></head>
<body><h1>May these maps be believed?</h1>
<p class="small">{say(about["weights"])} &middot; {len(videos)} videos and {made} synthetic clips,
{masks} of all with masks &middot; seed {about["settings"]["seed"]} &middot; the protocol was fixed
beforehand (docs/trust.md)</p>
<div class="verdict {state}"><p><strong>{say(head)}</strong></p></div>{untrained}
{"".join(_sentences(judged, layer) for layer in judged.layers)}
<h2>Numbers</h2>{"".join(pictures)}
{"".join(_table(judged, layer) for layer in judged.layers)}
<h2>Positive controls</h2><div class="scroll"><table><tr><th>what is known</th><th>came out</th>
<th>numbers</th></tr>{controls}</table></div>
{f"<h2>Left out</h2><ul>{skipped}</ul>" if skipped else ""}
<footer><p>Every number of every clip is in <code>results.csv</code>, means and intervals in
<code>result.json</code>. This run took {seconds / 60:.1f} minutes, work kept from before not
counted.</p></footer></body></html>
"""


def _sentences(judged: Judged, layer: str) -> str:
    rows = ""
    for method in judged.methods:
        said = "<br>".join(html.escape(line) for line in judged.said(layer, method))
        rows += f"<tr><td>{html.escape(METHODS[method].title)}</td><td>{said}</td></tr>"
    return (
        f"<h2>{html.escape(layer)}, in plain words</h2><div class='scroll'><table><tr>"
        f"<th>method</th><th>measured</th></tr>{rows}</table></div>"
        f"<p class='small'>{_smallest(judged, layer)}</p>"
    )


def _smallest(judged: Judged, layer: str) -> str:
    """From which size on a difference shows with so many videos."""
    said = []
    for metric, over, words in (
        ("iou", "frame difference", "in IoU from the frame difference"),
        ("faithfulness grey", "random", "in faithfulness (grey) from random maps"),
    ):
        found = [judged.find(layer, method, metric, "all", over) for method in judged.methods]
        halves = [(i.high - i.low) / 2 for i in found if i is not None and i.high >= i.low]
        if halves:
            said.append(f"one {words} from {max(halves):.2f} on")
    return (
        f"With these clips the smallest difference that shows: {', '.join(said)}." if said else ""
    )


def _table(judged: Judged, layer: str) -> str:
    names = [*judged.methods, *BASELINES]
    metrics = [m for m in _TABLE if any(judged.find(layer, n, m) for n in names)]
    head = "".join(f"<th>{html.escape(name)}</th>" for name in names)
    rows = "".join(
        f"<tr><td>{metric}</td>"
        + "".join(f"<td class='number'>{_cell(judged.find(layer, n, metric))}</td>" for n in names)
        + "</tr>"
        for metric in metrics
    )
    return (
        f"<h2>{html.escape(layer)}: every number</h2><div class='scroll'><table><tr><th></th>{head}"
        f"</tr>{rows}</table></div>"
    )


def _cell(found: Interval | None) -> str:
    if found is None or math.isnan(found.value):
        return ""
    if math.isnan(found.low):
        return f"{found.value:z.2f}"
    return f"{found.value:z.2f}<br><small>{found.low:z.2f} to {found.high:z.2f}</small>"
