"""Clips whose objects, masks and motion are known exactly: for training, tests and controls.

``library`` holds cut-outs and backgrounds, ``scene`` draws what moves how, ``pixels`` makes pixels
and flow of it, ``generate`` gives whole clips; ``drifting`` has gratings,
a texture and a cut-out that drift, ``labels`` what every pixel belongs to.
"""

from .drifting import CONTRAST, MIDDLE, drifting_grating, drifting_sprite, drifting_texture
from .generate import (
    CONTROL_ONSET,
    SyntheticClip,
    positive_control,
    positive_controls,
    sample_clip,
)
from .labels import PARTS, LabelledClip, labelled_clips
from .library import (
    BACKGROUND,
    CANVAS,
    EXTENT,
    WHATS,
    Library,
    Split,
    chosen_library,
    load_library,
    procedural_library,
    split_of,
)
from .pixels import flow, render
from .scene import CLASSES, HOWS, Dice, Scenes, sample_scenes
