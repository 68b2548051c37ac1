"""TODO clips."""

from .clip import (
    Clip,
    cropped_frames,
    preprocess,
    preprocess_frames,
    read_clip,
    read_clips,
    video_info,
    window_starts,
)
from .folder import SUFFIXES, counting_order
from .timeline import motion_energy, read_thumbnails
from .video import VideoInfo

__all__ = [
    "SUFFIXES",
    "Clip",
    "VideoInfo",
    "counting_order",
    "cropped_frames",
    "motion_energy",
    "preprocess",
    "preprocess_frames",
    "read_clip",
    "read_clips",
    "read_thumbnails",
    "video_info",
    "window_starts",
]
