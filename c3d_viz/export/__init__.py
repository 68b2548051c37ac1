"""One clip -> a folder of pictures, arrays, a page and a manifest."""

from .files import read_json
from .run import export_clip

__all__ = [
    "export_clip",
    "read_json",
]
