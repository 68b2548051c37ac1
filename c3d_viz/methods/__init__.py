"""Everything that explains a unit of a clip: the registry ``METHODS`` and its one entrance."""

from .gradcam import GradCam, grad_cam
from .reading import Reading
from .registry import METHODS, Attribution, attribute, attribute_many

__all__ = [
    "METHODS",
    "Attribution",
    "GradCam",
    "Reading",
    "attribute",
    "attribute_many",
    "grad_cam",
]
