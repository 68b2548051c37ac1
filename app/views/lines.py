"""What is said of a map in one line beside it. A function here, and its name in LINES."""

from __future__ import annotations

from collections.abc import Callable

from .. import atlas, state, ui, work


def of_many(shown: state.Shown, unit: work.Spot, _method: str) -> str:
    """How strong the answer is among the windows of the atlas."""
    told = atlas.said(shown.net, unit)
    return told and f"Answers {unit.activation:.3g}: {told}."


LINES: tuple[Callable[[state.Shown, work.Spot, str], str], ...] = (of_many,)
"""Each is given what is shown, the unit and the method; "" says nothing. It must not compute: what
takes longer than a look into a table belongs beside the page."""


def draw(shown: state.Shown, unit: work.Spot, method: str) -> None:
    """Every line that has something to say."""
    for line in LINES:
        if text := line(shown, unit, method):
            ui.fact(text)
