"""For every feature map the windows of many videos it answers to most."""

from .make import AtlasReport, write_atlas
from .opened import Atlas, AtlasLayer
from .settings import AtlasSettings
from .show import draw_window, film_strips, top_films
from .tables import FeatureMap, TopWindow
