"""TODO methods."""

from .reading import Reading
from .registry import METHODS, Attribution, attribute, attribute_many

__all__ = [
    "METHODS",
    "Attribution",
    "Reading",
    "attribute",
    "attribute_many",
]
