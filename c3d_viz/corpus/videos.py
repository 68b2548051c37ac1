"""Which videos a corpus has, each once, and which of them could not be used."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path, PurePath

from ..clips import counting_order, find_videos
from ..errors import ClipError
from ..files import write_text


def distinct_videos(videos: Sequence[str | os.PathLike[str]]) -> list[Path]:
    """Each file once, under the name that came first, in counting order of the names.

    Args:
        videos: video files, folders of frames, and folders of either.

    Raises:
        ClipError: a folder holds no videos, or nothing is given.
    """
    names = dict[str, Path]()
    for path, _ in find_videos([Path(video) for video in videos]):
        try:
            names.setdefault(os.path.realpath(path), path)
        except ValueError as error:  # a NUL in the name
            raise ClipError(f"{text_of(path)} cannot be read: {error}") from None
    return sorted(names.values(), key=lambda path: counting_order(text_of(path)))


def text_of(path: Path) -> str:
    """The path as UTF-8; bytes that are none as ``\\xff``."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def place_of(path: str) -> PurePath:
    """A video's file, or the folder that holds its ``frames``: by its name people know it."""
    place = PurePath(path)
    return place.parent if place.name == "frames" and place.parent.name else place


def list_failures(file: Path, failed: Sequence[tuple[str, str]]) -> Path | None:
    """Write a line for each (path, why) of a video that was left out; else remove an old list."""
    if not failed:
        if os.path.isfile(file):
            file.unlink()
        return None
    lines = (json.dumps({"path": p, "error": e}, ensure_ascii=False) for p, e in failed)
    write_text(file, "".join(f"{line}\n" for line in lines))
    return file


def none_usable(file: Path, failed: Sequence[tuple[str, str]]) -> ClipError:
    """What is said where every video was left out; a list of why is written for several."""
    if len(failed) == 1:
        return ClipError(failed[0][1])
    list_failures(file, failed)
    return ClipError(
        f"none of {len(failed)} videos can be used; the first: {failed[0][1]}; all: {file}"
    )
