"""Which videos are meant: files, folders of frames, and what a folder of either holds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..errors import ClipError
from .folder import counting_order
from .opening import shown
from .suffixes import PICTURE_SUFFIXES, VIDEO_SUFFIXES


def find_videos(paths: Sequence[Path]) -> list[tuple[Path, bool]]:
    """Videos and frame folders among ``paths`` and in the folders among them, in counting order.

    A folder with more pictures than video files is one video (a poster or a thumbnail beside videos
    makes no frames of it). Any other folder is searched one level deep: video files,
    folders with pictures, and folders whose sub-folder ``frames`` holds pictures (DAVIS style).

    Returns:
        (path, named by the caller) pairs.

    Raises:
        ClipError: a folder cannot be read or holds none of these, or nothing is given.
    """
    sources: list[tuple[Path, bool]] = []
    for path in paths:
        try:
            sources += _videos_at(path)
        except (OSError, ValueError) as error:  # ValueError: a NUL in the name
            reason = getattr(error, "strerror", None) or error
            raise ClipError(f"{shown(path)} cannot be read: {reason}") from None
    if not sources:
        raise ClipError("no clips given; name video files, frame folders, or folders of them")
    return sources


def _videos_at(path: Path) -> list[tuple[Path, bool]]:
    if not path.is_dir():
        return [(path, True)]  # a missing file is reported when it is opened
    frame_folder = _frame_folder(path)
    if frame_folder is not None:
        return [(frame_folder, True)]
    inside: list[tuple[Path, bool]] = []
    for child in sorted(path.iterdir(), key=lambda p: counting_order(p.name)):
        if child.is_dir():
            folder = _frame_folder(child)
            if folder is not None:
                inside.append((folder, False))
        elif child.suffix.lower() in VIDEO_SUFFIXES:
            inside.append((child, False))
    if not inside:
        raise ClipError(
            f"{shown(path)} holds no videos and no folders of frames; give video files, a folder "
            f"of pictures, or a folder of either"
        )
    return inside


def _frame_folder(path: Path) -> Path | None:
    for folder in (path, path / "frames"):
        if folder.is_dir():
            kinds = [p.suffix.lower() for p in folder.iterdir() if not p.name.startswith(".")]
            pictures = sum(kind in PICTURE_SUFFIXES for kind in kinds)
            videos = sum(kind in VIDEO_SUFFIXES and kind not in PICTURE_SUFFIXES for kind in kinds)
            if pictures > videos:
                return folder
    return None
