"""TODO cli."""

from .dashboard import NETWORK, command
from .demo import demo_clips

__all__ = [
    "NETWORK",
    "command",
    "demo_clips",
]
