"""Many videos: what a network makes of each, as one vector and as a table."""

from .descriptors import Descriptor, describe
from .features import FeatureReport, FeatureSettings, write_features
