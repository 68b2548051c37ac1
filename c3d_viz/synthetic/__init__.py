"""TODO synthetic."""

from .generate import generate, positive_controls
from .library import (
    BACKGROUND,
    CANVAS,
    EXTENT,
    WHATS,
    Library,
    Split,
    load_library,
    procedural_library,
    split_of,
)
from .render import render
from .scene import CLASSES, HOWS, Scenes, sample_scenes

__all__ = [
    "BACKGROUND",
    "CANVAS",
    "CLASSES",
    "EXTENT",
    "HOWS",
    "WHATS",
    "Library",
    "Scenes",
    "Split",
    "generate",
    "load_library",
    "positive_controls",
    "procedural_library",
    "render",
    "sample_scenes",
    "split_of",
]
