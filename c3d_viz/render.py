"""Pictures of attributions and activations: arrays in, uint8 RGB arrays out.

``render_maps`` turns numbers into pixels of a frame, ``render_filmstrip`` and
``render_sheets`` put frames on a page,
``render_canvas`` draws the page. This module gathers what others use.
"""

from .render_filmstrip import filmstrip
from .render_maps import (
    PERCENTILE,
    magnitude,
    normalised,
    overlay,
    raw_frames,
    scale_of,
    signed,
)
from .render_sheets import activation_sheet, contact_sheet, time_note

__all__ = [
    "PERCENTILE",
    "activation_sheet",
    "contact_sheet",
    "filmstrip",
    "magnitude",
    "normalised",
    "overlay",
    "raw_frames",
    "scale_of",
    "signed",
    "time_note",
]
