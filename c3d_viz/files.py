"""Files on disk: whole or not at all, equal bytes for equal content, and their hashes."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import itertools
import json
import os
import re
import shutil
import uuid
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from .errors import ExportError

_PART = re.compile(r"\.(.+)-[0-9a-f]{32}\.part")
_TRIAL = 1 << 16  # bytes that a folder must take before work begins
_DATE = (1980, 1, 1, 0, 0, 0)  # of every member of an npz: a zip's clock would change its bytes
_MAX_JSON = 64 * 1024**2  # bytes; a manifest of 500 windows has 30 MB
_HINTS = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "free space or choose another folder"),
    **dict.fromkeys(
        (errno.EACCES, errno.EPERM, errno.EROFS), "choose a folder that you may write to"
    ),
    errno.ENAMETOOLONG: "choose a shorter name",
}


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A new name beside ``path`` to write to; it becomes ``path`` when the block succeeds.

    Whatever fails, ``path`` is as it was before. The folder must exist.

    Raises:
        ExportError: the file cannot be written (no room, no permission); the line says which.
    """
    target = _named(path)
    part = _beside(target)
    try:
        yield part
        part.replace(target)
    except OSError as error:
        raise cannot_write(target, error) from None
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A new folder beside ``path`` to fill; it becomes ``path`` when the block succeeds.

    Whatever fails, ``path`` is not there. It must not exist before, unless it is empty.

    Raises:
        ExportError: the folder cannot be made or is in the way.
    """
    target = _named(path)
    part = _beside(target)
    try:
        part.mkdir(parents=True)
        yield part
        part.replace(target)
    except OSError as error:
        raise cannot_write(target, error) from None
    finally:
        shutil.rmtree(part, ignore_errors=True)


def make_folder(path: str | os.PathLike[str]) -> None:
    """Make a folder, and those above it; it may be there already.

    Raises:
        ExportError: it cannot be made, or a file is in the way.
    """
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise cannot_write(Path(path), error) from None


@contextmanager
def kept_if_filled(path: str | os.PathLike[str]) -> Iterator[None]:
    """Make a folder for the block; what was made, it and those above it, goes again if empty then.

    Raises:
        ExportError: it cannot be made, or a file is in the way.
    """
    missing = _missing(Path(path))
    try:
        make_folder(path)
        yield
    finally:
        for place in missing:
            with contextlib.suppress(OSError, ValueError):
                place.rmdir()


def try_folder(path: str | os.PathLike[str]) -> None:
    """Refuse a folder that cannot be written to, before any work is done; leaves nothing behind.

    A small file is written there and removed again, and so are the folders that were made for it:
    the only way to meet every reason (rights, a full or read-only disk, names too long).

    Raises:
        ExportError: which folder, and why.
    """
    if not os.fspath(path):
        raise ExportError("the folder to write to has no name; choose a folder")
    folder, part = Path(path), _beside(Path(path, "trial"))
    missing = _missing(folder)
    try:
        make_folder(folder)
        part.write_bytes(bytes(_TRIAL))
    except OSError as error:
        raise cannot_write(folder, error) from None
    finally:
        for remove in (part.unlink, *(place.rmdir for place in missing)):
            with contextlib.suppress(OSError, ValueError):
                remove()


def _missing(folder: Path) -> tuple[Path, ...]:
    """A folder and those above it, as far as they are not there."""
    places = (folder, *folder.parents)
    return tuple(itertools.takewhile(lambda place: not os.path.lexists(place), places))


def is_part(name: str) -> bool:
    """Whether a file of this name was left half-written by a process that was killed."""
    return part_of(name) is not None


def part_of(name: str) -> str | None:
    """What a file that was left half-written would have become (its first 40 characters)."""
    match = _PART.fullmatch(name)
    return None if match is None else match[1]


def _named(path: str | os.PathLike[str]) -> Path:
    if "\0" in os.fspath(path):
        raise cannot_write(Path(path), ValueError("its name holds a NUL"))
    return Path(path)


def _beside(target: Path) -> Path:
    # not tempfile's: that would leave the file readable by its owner alone
    return target.with_name(f".{target.name[:40]}-{uuid.uuid4().hex}.part")


def cannot_write(path: Path, error: OSError | ValueError) -> ExportError:
    """The error for a file or folder that cannot be written, with the hint that fits its reason."""
    reason = getattr(error, "strerror", None) or error
    hint = _HINTS.get(getattr(error, "errno", None) or 0, "choose another folder")
    return ExportError(f"cannot write {path}: {reason}; {hint}")


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file, whole or not at all."""
    with whole_file(path) as part:
        part.write_bytes(data)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write text as UTF-8, whole or not at all.

    Bytes of file names that are no UTF-8 are spelled ``\\udcff``, which JSON reads as it was.
    """
    write_bytes(path, text.encode(errors="backslashreplace"))


def write_json(path: str | os.PathLike[str], value: object) -> None:
    """Write JSON, indented, as UTF-8, whole or not at all."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def read_json(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    """The object in a JSON file, or None where there is no such file.

    Raises:
        ExportError: it cannot be read, is larger than 64 MiB, holds no JSON object, or is
            no ordinary file.
    """
    try:
        if Path(path).exists() and not Path(path).is_file():  # a pipe would be waited for
            raise ExportError(f"{path} is no ordinary file, but a folder, a pipe or a device")
        with Path(path).open("rb") as file:
            data = file.read(_MAX_JSON + 1)
        value = json.loads(data) if len(data) <= _MAX_JSON else None
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ExportError(f"cannot read {path}: {error.strerror or error}") from None
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise ExportError(f"{path} is damaged: it holds no JSON object, or more than 64 MiB")
    return value


def write_npz(
    path: str | os.PathLike[str], arrays: Mapping[str, npt.ArrayLike], *, zeros: float = 0.5
) -> None:
    """Write arrays as ``np.load`` reads them, whole or not at all; equal arrays, equal bytes.

    Members of which more than the share ``zeros`` is zero (maps of shallow layers) are compressed;
    noise-like float32 would cost time and shrink by a tenth.
    """
    with whole_file(path) as part, zipfile.ZipFile(part, "w") as archive:
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


def sha256(path: str | os.PathLike[str]) -> str:
    """Hex SHA-256 of a file; of a folder, that of its files' names, sizes and bytes in order.

    Hidden files of a folder and folders within it do not count.
    """
    place = Path(path)
    if not place.is_dir():
        with place.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    digest = hashlib.sha256()
    for inner in sorted(p for p in place.iterdir() if p.is_file() and p.name[0] != "."):
        digest.update(os.fsencode(f"{inner.name}\0{inner.stat().st_size}\0"))
        with inner.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
