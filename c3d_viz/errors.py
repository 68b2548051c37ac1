"""Errors a person can act on: one line that names what was given, what is allowed, what to do.

The command line prints the message and exits with status 2; the dashboard shows it in the page.
"""

from __future__ import annotations


class VizError(Exception):
    """Base of every error c3d_viz raises on purpose. The message is one line."""


class ClipError(VizError):
    """A video file or frame folder cannot be read as asked."""


class WeightsError(VizError):
    """A checkpoint cannot be read, is not recognised, or does not fit the network."""


class LayerError(VizError):
    """A layer name, channel or position does not exist in the model."""


class ShapeError(VizError):
    """A tensor or array does not have the layout the function states."""


class ExportError(VizError):
    """An export cannot start or go on (folder in the way, interrupted run of other settings)."""
