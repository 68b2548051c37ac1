"""Everything that explains a unit of a clip: the registry ``METHODS`` and its one entrance."""

from .gradcam import GradCam, grad_cam
from .reading import Reading
from .registry import (
    METHODS,
    Given,
    attribute,
    attribute_many,
    attributions,
    method_named,
    read_settings,
    settings_of,
)
from .settings import Settings, described, setting
from .types import Attribution, Method, OnGrid, Progress
