"""One clip -> a folder of pictures, arrays, a page and a manifest."""

from .run import export_clip, write_export
from .settings import ExportSettings, named_layers
