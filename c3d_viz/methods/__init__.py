"""Everything that explains a unit of a clip: the registry ``METHODS`` and its one entrance."""

from .asking import attribute, attribute_many, attributions
from .gradcam import GradCam, grad_cam
from .reading import Reading
from .registry import METHODS, Given, method_named, read_settings, settings_of
from .settings import Settings, described, setting
from .showing import figure, show
from .targets import Channel, Output, Reduce
from .types import Attribution, Method, OnGrid, Progress
