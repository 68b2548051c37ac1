"""The pages of the dashboard, one line each, and what the server was started with."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Page:
    """A module of ``views/`` with ``page()``: its name in the bar and its Material symbol."""

    title: str
    icon: str


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
