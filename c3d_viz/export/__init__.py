"""One clip -> a folder of pictures, arrays, a page and a manifest."""

from .run import export_clip

__all__ = ["export_clip"]
