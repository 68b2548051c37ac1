"""The curves of the pages, as Vega-Lite charts."""

from __future__ import annotations

import math
from collections.abc import Sequence

import altair as alt
import numpy as np

from .finding_work import Lines
from .work import Floats

PADDING = 8  # pixels at both ends of the axis of frames
APPEARANCE, MOTION = "Appearance", "Motion"


def domain(lines: list[Lines]) -> tuple[float, float]:
    """Lower and upper end of one axis for the curves of several networks or clips."""
    values = [v for line in lines for v in (*line.appearance, *line.motion) if math.isfinite(v)]
    low, high = min([0.0, *values]), max([0.2, *values])
    return math.floor(low * 10 - 0.2) / 10, math.ceil(high * 10 + 0.2) / 10


def _rows(lines: list[Lines]) -> alt.Data:
    rows = [
        {"place": t, "value": float(v), "what": what, "net": n}
        for n, line in enumerate(lines)
        for what, curve in ((APPEARANCE, line.appearance), (MOTION, line.motion))
        for t, v in enumerate(curve)
        if math.isfinite(v)
    ]
    return alt.Data(values=rows)


def curves(
    lines: list[Lines],
    ends: tuple[float, float],
    height: int,
    numbers: Sequence[int],
    legend: bool = False,
) -> alt.LayerChart:
    """A(t) and M(t), one pair of curves for each of ``lines``.

    ``numbers``: of the frames in the video, in the order in which the network got them.
    """
    colour = alt.Color(
        "what:N",
        scale=alt.Scale(domain=[APPEARANCE, MOTION]),
        legend=alt.Legend(title=None, orient="top", symbolType="stroke") if legend else None,
    )
    zero = alt.Chart(alt.Data(values=[{"y": 0.0}])).mark_rule(opacity=0.4).encode(y="y:Q")
    step = 0.2 if ends[1] - ends[0] <= 1.2 else 0.5
    drawn = (
        alt.Chart(_rows(lines))
        .mark_line(point=len(lines) == 1, opacity=1.0 if len(lines) == 1 else 0.6)
        .encode(
            x=_frames("place", numbers, 1 if legend else 5, "frame" if legend else None),
            y=alt.Y("value:Q", title="agreement" if legend else None,
                    scale=alt.Scale(domain=list(ends), nice=False),
                    axis=_levels(*ends, step, ".1f")),
            color=colour,
            strokeDash=alt.StrokeDash("what:N", scale=alt.Scale(
                domain=[APPEARANCE, MOTION], range=[[1, 0], [5, 3]]), legend=None),
            detail="net:N",
        )
    )  # fmt: skip
    return (zero + drawn).properties(height=height)


def shares(of: Sequence[tuple[str, Floats]], numbers: Sequence[int] | None) -> alt.Chart:
    """What part of each side's map falls in each frame; each side sums to 1.

    ``numbers``: of the frames; None where the sides have different ones.
    """
    rows = [
        {"place": t, "share": float(m) / (float(mass.sum()) or 1.0), "side": side}
        for side, mass in of
        for t, m in enumerate(mass)
    ]
    top = math.ceil(20 * max(float(m.max()) / (float(m.sum()) or 1.0) for _, m in of)) / 20 or 0.05
    title = "frame" if numbers else "frame of the window"
    return (
        alt.Chart(alt.Data(values=rows))
        .mark_line(point=True)
        .encode(
            x=_frames("place", numbers or range(1, 1 + len(of[0][1])), 1, title),
            y=alt.Y(
                "share:Q",
                title=None,
                scale=alt.Scale(domain=[0, top], nice=False),
                axis=_levels(0, top, 0.05 if top <= 0.3 else 0.2, ".0%"),
            ),
            color=alt.Color(
                "side:N",
                sort=None,
                legend=alt.Legend(
                    title=None, orient="top", columns=1, labelLimit=320, symbolType="stroke"
                ),
            ),
            strokeDash=alt.StrokeDash("side:N", sort=None, legend=None),
        )
        .properties(height=240)
    )


def _frames(field: str, numbers: Sequence[int], every: int, title: str | None) -> alt.X:
    """The axis of frames: places in the window, with their numbers in the video at them."""
    names = "[" + ",".join(map(str, numbers)) + "]"
    return alt.X(
        f"{field}:Q",
        title=title,
        scale=alt.Scale(domain=[0, len(numbers) - 1], nice=False, padding=PADDING),
        axis=alt.Axis(
            grid=False,
            values=list(range(0, len(numbers), every)),
            labelExpr=f"{names}[datum.value]",
        ),
    )


def _levels(low: float, high: float, step: float, form: str) -> alt.Axis:
    """An axis whose labels stand at its grid's lines, all of them."""
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    values = [round(step * n, 6) for n in np.arange(first, last + 1)]
    return alt.Axis(values=values, format=form, labelFlush=False, labelBound=False)


def quantiles(values: Floats, here: float | None) -> alt.LayerChart:
    """What each share of many windows stays below, and where this window's answer lies."""
    last = len(values) - 1
    rows = [{"share": 100 * n / last, "answer": float(v)} for n, v in enumerate(values)]
    drawn = (
        alt.Chart(alt.Data(values=rows))
        .mark_line()
        .encode(
            x=alt.X("share:Q", title="% of the windows", scale=alt.Scale(domain=[0, 100])),
            y=alt.Y("answer:Q", title="stay below"),
        )
    )
    line = [] if here is None else [{"answer": here}]
    rule = (
        alt.Chart(alt.Data(values=line))
        .mark_rule(strokeDash=[4, 3], color="#8a8578")
        .encode(y="answer:Q")
    )
    return alt.layer(drawn, rule).properties(height=150)
