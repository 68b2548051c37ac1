"""Files of an export: whole or not at all, equal bytes for equal content, and their hashes."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from ..errors import ExportError

PART = ".part"  # suffix of a file that is still being written
# media writes pictures and videos under such names before it renames them
_PICTURE_PART = re.compile(r"^\.(filmstrip|overlay|input|sheet|activations)-.*\.(png|mp4)$")
_DATE = (1980, 1, 1, 0, 0, 0)  # of every member of an npz: a zip's clock would change its bytes


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` to write to; it becomes ``path`` when the block succeeds.

    Raises:
        ExportError: the file cannot be written (no room, no permission); the line says which.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}{PART}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise ExportError(
            f"cannot write {path}: {error.strerror or error}; free space or choose another folder"
        ) from None
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file atomically."""
    with whole(path) as part:
        part.write_bytes(data)


def write_json(path: Path, value: object) -> None:
    """Write JSON atomically, indented, as UTF-8."""
    write_bytes(path, (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode())


def write_npz(path: Path, arrays: Mapping[str, npt.ArrayLike], *, zeros: float = 0.5) -> None:
    """Write arrays as ``np.load`` reads them; equal arrays give equal bytes.

    Members of which more than the share ``zeros`` is zero (maps of shallow layers) are compressed;
    noise-like float32 would cost time and shrink by a tenth.
    """
    with whole(path) as part, zipfile.ZipFile(part, "w") as archive:
        for name, value in arrays.items():
            array = np.asanyarray(value)
            member = zipfile.ZipInfo(f"{name}.npy", date_time=_DATE)
            member.external_attr = 0o644 << 16
            if array.nbytes > 4096 and np.count_nonzero(array) < array.size * (1 - zeros):
                buffer = io.BytesIO()
                np.lib.format.write_array(buffer, array, allow_pickle=False)
                archive.writestr(member, buffer.getbuffer(), zipfile.ZIP_DEFLATED, 1)
            else:  # straight to the file: an early layer of the full-size net has 51 MB
                with archive.open(member, "w", force_zip64=array.nbytes > 1 << 30) as stream:
                    np.lib.format.write_array(cast(Any, stream), array, allow_pickle=False)


def sha256_of_clip(path: Path) -> str:
    """SHA-256 of a video file; of a folder, that of its files' names, sizes and bytes in order."""
    digest = hashlib.sha256()
    files = (
        sorted(p for p in path.iterdir() if p.is_file() and not p.name.startswith("."))
        if path.is_dir()
        else [path]
    )
    for file in files:
        if path.is_dir():
            digest.update(f"{file.name}\0{file.stat().st_size}\0".encode())
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def read_json(path: Path) -> dict[str, object] | None:
    """The object in a JSON file, or None where there is no such file or no object in it."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def remove_parts(folder: Path) -> None:
    """Delete what a killed run left half-written below ``folder``."""
    for part in folder.rglob(".*"):
        if part.is_file() and (part.name.endswith(PART) or _PICTURE_PART.match(part.name)):
            part.unlink(missing_ok=True)
