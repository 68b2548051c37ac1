"""Files from people: checked before anything decodes them, stored under names of our own.

The name a file came with is only ever shown, never used as a path. Everything lies in one folder
per server process; a session's part goes when the session ends, the whole when the server stops,
and what a crashed server left behind goes when the next one starts.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import os
import re
import secrets
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from c3d_viz.clips import VIDEO_SUFFIXES, VideoInfo, begins_like_video, video_info
from c3d_viz.errors import ClipError, VizError, WeightsError

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows: stale folders go by age instead
    fcntl = None  # type: ignore[assignment]

CLIP_TYPES = tuple(suffix[1:] for suffix in VIDEO_SUFFIXES)
CLIP_LIMIT_MB = 100
WEIGHTS_TYPES = (
    "safetensors", "pth", "pt", "pickle", "pkl", "tar", "ckpt", "caffemodel", "h5", "hdf5", "keras",
    "npz", "model",
)  # fmt: skip
WEIGHTS_LIMIT_MB = 400  # C3D with 487 classes has 305
PREFIX = "c3d-viz-app-"


@dataclass(frozen=True)
class Stored:
    """A file of this session.

    Attributes:
        path: where it lies, under a name of our own.
        label: the name it came with, made harmless, for people.
        digest: SHA-256 of its content, hex.
        info: of a clip, what the file says of itself; None for weights.
    """

    path: Path
    label: str
    digest: str
    info: VideoInfo | None = None


class Storage:
    """The server's folder. ``session()`` makes one inside it for each session."""

    def __init__(self, base: Path | None = None) -> None:
        base = Path(tempfile.gettempdir()) if base is None else base
        sweep(base)
        self.root = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))
        # The lock is held for as long as this process lives, however it ends.
        self._owner = (self.root / ".owner").open("w")
        if fcntl is not None:
            fcntl.flock(self._owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        atexit.register(self.close)

    def session(self) -> Path:
        """A new empty folder that only this user may read."""
        return Path(tempfile.mkdtemp(prefix="session-", dir=self.root))

    def close(self) -> None:
        """Remove everything. May be called twice."""
        shutil.rmtree(self.root, ignore_errors=True)
        self._owner.close()


def sweep(base: Path) -> list[Path]:
    """Remove folders of servers that are gone. Returns what was removed."""
    removed = []
    for folder in base.glob(f"{PREFIX}*"):
        if folder.is_symlink() or not folder.is_dir() or not _abandoned(folder):
            continue
        shutil.rmtree(folder, ignore_errors=True)
        removed.append(folder)
    return removed


def _abandoned(folder: Path) -> bool:
    with contextlib.suppress(OSError):
        if hasattr(os, "getuid") and folder.stat().st_uid != os.getuid():
            return False
        if fcntl is None:  # pragma: no cover - Windows refuses to remove an open file anyway
            return True
        with (folder / ".owner").open("r+") as owner:
            fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    return False


def harmless(name: str) -> str:
    """A name fit to be shown: no folders, no control characters, no markup, at most 60 long."""
    name = re.split(r"[/\\]", name)[-1]
    name = re.sub(r"[^\w .,+()-]", "_", name).strip() or "file"
    return name if len(name) <= 60 else f"{name[:40]}…{name[-16:]}"


def store_clip(folder: Path, name: str, data: bytes | memoryview) -> Stored:
    """Check an uploaded clip and keep it.

    Its type, size and first bytes are checked before a decoder sees it, then its header is read.

    Raises:
        ClipError: one line for the page that names the file as the person knows it.
    """
    label = harmless(name)
    suffix = _suffix(label, CLIP_TYPES, ClipError, "a clip may be")
    _check_size(label, len(data), CLIP_LIMIT_MB, ClipError)
    if not begins_like_video(bytes(data[:200])):
        raise ClipError(
            f"{label} does not begin like a video file, whatever its name says; "
            f"give an {', '.join(CLIP_TYPES[:-1])} or {CLIP_TYPES[-1]} file"
        )
    path, digest = _write(folder, suffix, data)
    try:
        info = video_info(path)
    except VizError as error:
        path.unlink(missing_ok=True)
        raise ClipError(str(error).replace(str(path), label)) from None
    if info.frames < 16:
        path.unlink(missing_ok=True)
        long = f"{info.frames} frame{'' if info.frames == 1 else 's'}"
        raise ClipError(
            f"{label} has {long}; the network looks at 16 at a time: give a longer clip"
        )
    return Stored(path, label, digest, info)


def store_weights(folder: Path, name: str, data: bytes | memoryview) -> Stored:
    """Keep uploaded weights after a check of type and size. Reading them safely is the library's.

    Raises:
        WeightsError: one line for the page.
    """
    label = harmless(name)
    suffix = _suffix(label, WEIGHTS_TYPES, WeightsError, "weights may be")
    _check_size(label, len(data), WEIGHTS_LIMIT_MB, WeightsError)
    path, digest = _write(folder, suffix, data)
    return Stored(path, label, digest)


def _suffix(label: str, types: tuple[str, ...], error: type[VizError], what: str) -> str:
    suffix = label.rpartition(".")[2].lower()
    if suffix not in types:
        raise error(f"{label} is of a type that is not read here; {what} {', '.join(types)}")
    return suffix


def _check_size(label: str, size: int, limit_mb: int, error: type[VizError]) -> None:
    if size == 0:
        raise error(f"{label} is empty (0 bytes); copy or download it again")
    if size > limit_mb * 1024**2:
        raise error(
            f"{label} has {size / 1024**2:.0f} MB, at most {limit_mb} MB are taken; "
            f"use the command line for larger files"
        )


def _write(folder: Path, suffix: str, data: bytes | memoryview) -> tuple[Path, str]:
    digest = hashlib.sha256(data).hexdigest()
    path = folder / f"{secrets.token_hex(8)}.{suffix}"
    path.write_bytes(data)
    return path, digest
