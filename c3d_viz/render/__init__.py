"""Pictures of attributions and activations: arrays in, uint8 RGB arrays out.

``maps`` turns numbers into pixels of a frame, ``filmstrip``, ``contact`` and ``activation`` put
them on a page, ``canvas`` draws the page, ``media`` writes files.
"""

from .activation import activation_sheet, time_note
from .canvas import Canvas, Header, Legend, Picture, colour_table, enlarge, short
from .contact import contact_sheet
from .figures import (
    DARK,
    LIGHT,
    PAGE_STYLE,
    REPORT_STYLE,
    Theme,
    dress,
    legend,
    new_figure,
    png,
    themed,
)
from .filmstrip import filmstrip
from .maps import (
    DIVERGING,
    PERCENTILE,
    SEQUENTIAL,
    magnitude,
    normalised,
    overlay,
    raw_frames,
    scale_of,
    signed,
)
from .media import encode_png, encode_video, write_image, write_video
from .notebook import Inline, inline
from .patch import Patch, cut, cut_throughout, patch_of, places, small_patch
