"""Figures with axes, and pages that hold them: one look, light and dark.

Matplotlib objects only, no pyplot state.
"""

from __future__ import annotations

import base64
import html
import io
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Theme:
    """Colours of a page: Okabe-Ito hues, which colour-blind people can tell apart."""

    name: str
    paper: str
    ink: str
    faint: str
    trained: str
    reinit: str
    twin: str
    frozen: str


LIGHT = Theme("light", "#ffffff", "#1c1f24", "#d5d9df", "#0072b2", "#70757d", "#d55e00", "#009e73")
DARK = Theme("dark", "#16191e", "#e4e7eb", "#3a4049", "#56b4e9", "#a3a9b3", "#e69f00", "#33c39b")
# What every page with films begins with: colours, navigation, focus.
PAGE_STYLE = """
:root { --ground: #fbfbf9; --card: #ffffff; --ink: #1d2127; --soft: #59616d; --line: #d9dce1;
  --link: #0b5cad; --warn-ground: #fff1d6; --warn-ink: #5c3a00; --warn-line: #d9930d; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #14171b; --card: #1d2228; --ink: #e8eaed; --soft: #a5adb8; --line: #363d46;
    --link: #83bdf7; --warn-ground: #3a2b0c; --warn-ink: #ffe2ab; --warn-line: #b77f1b; } }
* { box-sizing: border-box; }
html { scroll-padding-top: 4rem; }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 16px/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 90rem; margin: 0 auto; padding: 0 1.25rem 4rem; }
a { color: var(--link); }
nav { position: sticky; top: 0; z-index: 1; display: flex; gap: .25rem; overflow-x: auto;
  align-items: center; padding: .5rem 1.25rem; background: var(--card);
  border-bottom: 1px solid var(--line); }
nav a { padding: .3rem .55rem; border-radius: .4rem; text-decoration: none; white-space: nowrap; }
nav a:hover { background: var(--ground); text-decoration: underline; }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 1.5rem 0 .5rem; overflow-wrap: anywhere; }
"""

REPORT_STYLE = """
:root{--paper:#fff;--ink:#1c1f24;--soft:#5b626c;--line:#d5d9df;--card:#f5f6f8;--bad:#b3261e;
--good:#1b7a43;--open:#8a5a00}
@media(prefers-color-scheme:dark){:root{--paper:#16191e;--ink:#e4e7eb;--soft:#a3a9b3;
--line:#3a4049;--card:#1e2228;--bad:#ff8a80;--good:#7bd6a0;--open:#f0c060}}
*{box-sizing:border-box}body{margin:0 auto;max-width:1060px;padding:28px 20px 60px;
background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,sans-serif}
h1{font-size:1.5rem;line-height:1.3;margin:0 0 4px}h2{font-size:1.15rem;margin:40px 0 8px}
p.small,figcaption,footer{color:var(--soft);font-size:.9rem}
.verdict{border-left:6px solid var(--open);background:var(--card);padding:14px 18px;margin:18px 0;
border-radius:4px}.verdict.supported,.verdict.refuted{border-color:var(--good)}
.verdict.invalid{border-color:var(--bad)}.verdict.invalid strong{color:var(--bad)}
.verdict p{margin:0;font-size:1.1rem}.verdict ul{margin:10px 0 0;padding-left:20px}
figure{margin:18px 0}figure img{width:100%;height:auto;border:1px solid var(--line);
border-radius:4px}.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.9rem}
th,td{text-align:left;padding:6px 10px;border-bottom:1px solid var(--line);vertical-align:top}
td.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.right{color:var(--good)}.wrong{color:var(--bad);font-weight:600}.undetermined{color:var(--open)}
code{font-size:.88em}
"""


def png(figure: Any, dpi: int = 130) -> bytes:
    """PNG bytes without dates or versions, so that equal figures are equal files."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def new_figure(
    theme: Theme, size: tuple[float, float], rows: int, columns: int, **options: Any
) -> tuple[Any, Any]:
    """A figure and its axes as an array (rows, columns), dressed in the theme."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, facecolor=theme.paper, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, **options)
    for axis in axes.flat:
        dress(axis, theme)
    return figure, axes


def dress(axis: Any, theme: Theme) -> None:
    """Text, ticks and frame of an axis in the theme's colours."""
    axis.set_facecolor(theme.paper)
    axis.tick_params(colors=theme.ink, labelsize=9)
    for side, spine in axis.spines.items():
        spine.set_color(theme.faint)
        spine.set_visible(side in ("left", "bottom"))
    for text in (axis.title, axis.xaxis.label, axis.yaxis.label):
        text.set_color(theme.ink)
        text.set_fontsize(10)


def legend(figure: Any, axis: Any, theme: Theme) -> None:
    """What an axis shows, in one line under the figure: the search for a free place is slow."""
    handles, labels = axis.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=len(labels), frameon=False,
        labelcolor=theme.ink, fontsize=9,
    )  # fmt: skip


def themed(light: bytes, dark: bytes, caption: str) -> str:
    """A figure of a page, in the colours of its reader's theme: HTML with both PNGs inside."""

    def embed(data: bytes) -> str:
        return f"data:image/png;base64,{base64.b64encode(data).decode()}"

    caption = html.escape(caption)
    return (
        f'<figure><picture><source srcset="{embed(dark)}" media="(prefers-color-scheme:dark)">'
        f'<img src="{embed(light)}" alt="{caption}"></picture><figcaption>{caption}</figcaption>'
        f"</figure>"
    )
