"""A path as a source of numbered frames: a video file, an animation or a folder of pictures."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import ClipError
from .animation import WebPFile, is_webp
from .folder import FrameFolder
from .opening import PathLike, shown
from .video import VideoFile

Source = VideoFile | FrameFolder | WebPFile


def open_source(path: PathLike) -> Source:
    """The video file, animation or folder of frames at ``path``, as a source of numbered frames.

    Raises:
        ClipError: nothing is there, it is no file or folder, or it is empty.
    """
    if not os.fspath(path):  # Path("") is the folder the program runs in
        raise ClipError("the clip's name is empty; give a video file or a folder of frames")
    try:
        place = Path(path)
        if place.is_dir():
            return FrameFolder(path)
        if place.is_file():
            return WebPFile(path) if is_webp(place) else VideoFile(path)
        there = place.exists()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ClipError(f"{shown(path)} cannot be opened: {reason}") from None
    what = "is neither a file nor a folder" if there else "does not exist"
    raise ClipError(f"{shown(path)} {what}; give a video file or a folder of frames")
