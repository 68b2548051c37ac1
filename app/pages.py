"""The pages of the dashboard, one line each, and what the server was started with."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Page:
    """A module of ``views/`` with a function ``page()``.

    Attributes:
        title: its name in the bar.
        icon: its Material symbol.
        shown: whether it is there at all, asked once a run; always where None. ``started`` tells
            what the server was started with.
    """

    title: str
    icon: str
    shown: Callable[[], bool] | None = None


PAGES = {  # by module; its address too
    "clip": Page("Clip", "movie"),
    "layers": Page("Layers", "layers"),
    "unit": Page("Unit", "neurology"),
    "motion": Page("Motion", "timeline"),
    "compare": Page("Compare", "compare"),
    "atlas": Page("Atlas", "grid_view"),
    "export": Page("Export", "download"),
}


def started(name: str) -> str | None:
    """What the server was started with under a name of ``c3d_viz.cli.dashboard.STARTED``."""
    from c3d_viz.cli import STARTED

    return os.environ.get(STARTED[name])


def there() -> dict[str, Page]:
    """The pages of this server."""
    return {name: page for name, page in PAGES.items() if page.shown is None or page.shown()}
