"""One clip -> a folder of pictures, arrays, a page and a manifest."""

from .many import ExportedClip, export_clips, is_one_clip
from .run import export_clip, write_export
from .settings import ExportSettings, named_layers
