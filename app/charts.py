"""The curves of the pages, as Vega-Lite charts."""

from __future__ import annotations

import math
from collections.abc import Iterable

import altair as alt

from .finding_work import Lines
from .work import Floats

APPEARANCE, MOTION = "Appearance", "Motion"


def domain(lines: list[Lines]) -> tuple[float, float]:
    """Lower and upper end of one axis for the curves of several networks or clips."""
    values = [v for line in lines for v in (*line.appearance, *line.motion) if math.isfinite(v)]
    low, high = min([0.0, *values]), max([0.2, *values])
    return math.floor(low * 10 - 0.2) / 10, math.ceil(high * 10 + 0.2) / 10


def _rows(lines: list[Lines], numbers: list[int] | None = None) -> alt.Data:
    rows = [
        {"frame": numbers[t] if numbers else t, "value": float(v), "what": what, "net": n}
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
    numbers: list[int] | None = None,
    legend: bool = False,
) -> alt.LayerChart:
    """A(t) and M(t), one pair of curves for each of ``lines``."""
    frames = numbers or list(range(16))
    x = alt.X(
        "frame:Q",
        title="frame" if legend else None,
        scale=alt.Scale(domain=[frames[0], frames[-1]], nice=False, padding=8),
        axis=alt.Axis(grid=False, tickMinStep=1, format="d"),
    )
    colour = alt.Color(
        "what:N",
        scale=alt.Scale(domain=[APPEARANCE, MOTION]),
        legend=alt.Legend(title=None, orient="top", symbolType="stroke") if legend else None,
    )
    zero = alt.Chart(alt.Data(values=[{"y": 0.0}])).mark_rule(opacity=0.4).encode(y="y:Q")
    drawn = (
        alt.Chart(_rows(lines, numbers))
        .mark_line(point=len(lines) == 1, opacity=1.0 if len(lines) == 1 else 0.6)
        .encode(
            x=x,
            y=alt.Y("value:Q", title="agreement" if legend else None,
                    scale=alt.Scale(domain=list(ends))),
            color=colour,
            strokeDash=alt.StrokeDash("what:N", scale=alt.Scale(
                domain=[APPEARANCE, MOTION], range=[[1, 0], [5, 3]]), legend=None),
            detail="net:N",
        )
    )  # fmt: skip
    return (zero + drawn).properties(height=height)


def shares(of: Iterable[tuple[str, Floats]]) -> alt.Chart:
    """What part of each side's map falls in each of the 16 frames; each side sums to 1."""
    rows = [
        {"frame": t + 1, "share": float(m) / (float(mass.sum()) or 1.0), "side": side}
        for side, mass in of
        for t, m in enumerate(mass)
    ]
    return (
        alt.Chart(alt.Data(values=rows))
        .mark_line(point=True)
        .encode(
            x=alt.X(
                "frame:Q",
                title="frame of the window",
                scale=alt.Scale(domain=[1, 16], nice=False, padding=8),
                axis=alt.Axis(grid=False, format="d", tickMinStep=1),
            ),
            y=alt.Y("share:Q", title=None, axis=alt.Axis(format="%", tickCount=4)),
            color=alt.Color(
                "side:N",
                sort=None,
                legend=alt.Legend(title=None, orient="top", labelLimit=320, symbolType="stroke"),
            ),
            strokeDash=alt.StrokeDash("side:N", sort=None, legend=None),
        )
        .properties(height=220)
    )
