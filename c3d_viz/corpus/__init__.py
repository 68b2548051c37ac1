"""Many videos: what a network makes of each, what its maps answer to, which are alike."""

from .atlas import (
    Atlas,
    AtlasLayer,
    AtlasReport,
    AtlasSettings,
    FeatureMap,
    TopWindow,
    draw_window,
    film_strips,
    top_films,
    write_atlas,
)
from .descriptors import Descriptor, describe
from .features import FeatureReport, FeatureSettings, write_features
from .lookup import look_up
from .map import MapReport, write_map
from .nearest import Neighbour, search
from .ray_engine import Cluster
