"""c3d_viz: see, layer by layer and frame by frame, what C3D and other 3D ConvNets see in a video.

The public names below are imported on first use, so that the command line starts without torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

_HOME = {
    "nets": "C3D LAYERS receptive_field InputSpec ModelSpec wrap",
    "weights": "load_model",
    "clips": "Clip read_clip preprocess cropped_frames demo_clips read_volume volume_frames",
    "engine": "Trace Unit trace top_units",
    "methods": "METHODS Attribution attribute attribute_many figure show",
    "render": "overlay filmstrip raw_frames activation_sheet contact_sheet write_video write_image",
    "trust": "check",
    "export": "export_clip",
    "corpus": "Atlas Descriptor Neighbour describe search",
    "errors": "VizError",
}
_MODULE = {name: module for module, names in _HOME.items() for name in names.split()}

# fmt: off
__all__ = [
    "C3D", "LAYERS", "METHODS", "Atlas", "Attribution", "Clip", "Descriptor", "InputSpec",
    "ModelSpec", "Neighbour", "Trace", "Unit", "VizError", "__version__", "activation_sheet",
    "attribute", "attribute_many", "check", "contact_sheet", "cropped_frames", "demo_clips",
    "describe", "export_clip", "figure", "filmstrip", "load_model", "overlay", "preprocess",
    "raw_frames", "read_clip", "read_volume", "receptive_field", "search", "show", "top_units",
    "trace", "volume_frames", "wrap", "write_image", "write_video",
]
# fmt: on

if TYPE_CHECKING:
    from .clips import (
        Clip,
        cropped_frames,
        demo_clips,
        preprocess,
        read_clip,
        read_volume,
        volume_frames,
    )
    from .corpus import Atlas, Descriptor, Neighbour, describe, search
    from .engine import Trace, Unit, top_units, trace
    from .errors import VizError
    from .export import export_clip
    from .methods import METHODS, Attribution, attribute, attribute_many, figure, show
    from .nets import C3D, LAYERS, InputSpec, ModelSpec, receptive_field, wrap
    from .render import (
        activation_sheet,
        contact_sheet,
        filmstrip,
        overlay,
        raw_frames,
        write_image,
        write_video,
    )
    from .trust import check
    from .weights import load_model


def __getattr__(name: str) -> object:
    if name not in _MODULE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_MODULE[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_MODULE])
