"""What is checked about a file before any of it is trusted: size, kind, zip directory, SHA-256."""

from __future__ import annotations

import contextlib
import hashlib
import io
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from ..errors import WeightsError

Container = Literal["safetensors", "torch zip", "torch pickle", "npz", "h5", "caffe"]

WEIGHTS = "weights file"
MAX_BYTES = 2 * 1024**3  # full C3D with its optimiser state is below 1 GB
MAX_TENSORS = 10_000  # a large video transformer has 1,000
_MAX_NAME = 500  # characters
_MAX_DIRECTORY = 1_500_000  # bytes of a zip's directory: room for all tensors' names
_BOMB_BYTES = 64 * 1024**2  # below this, a high compression ratio does no harm
_BOMB_RATIO = 20  # trained float weights hardly compress at all
_H5 = b"\x89HDF\r\n\x1a\n"


def named(path: str | Path) -> Path:
    """The path of a file or folder; ``Path("")`` would be the folder one is in.

    Raises:
        WeightsError: it is empty or blank.
    """
    if not str(path).strip():
        raise WeightsError(f"the name of the file is empty, {str(path)!r}; give one")
    return Path(path)


def check_file(path: Path, max_bytes: int = MAX_BYTES, what: str = WEIGHTS) -> int:
    """Size of a readable, non-empty file no larger than the cap. Reads nothing of it.

    Args:
        path: the file.
        max_bytes: the cap.
        what: the kind of file, for people.

    Raises:
        WeightsError: no such file, a folder or device, empty, unreadable, or above the cap.
    """
    try:
        stat = path.stat()
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path}: no such {what} ({reason(error)})") from None
    if path.is_dir():
        raise WeightsError(f"{path}: is a folder; give the {what} inside it")
    if not path.is_file():
        raise WeightsError(f"{path}: is not a regular file")
    if stat.st_size == 0:
        raise WeightsError(f"{path}: is empty; download or copy it again")
    if stat.st_size > max_bytes:
        raise WeightsError(
            f"{path}: {size_text(stat.st_size)} is above the limit of {size_text(max_bytes)} for a "
            f"{what}{'; load_model(..., max_bytes=N) allows more' if what == WEIGHTS else ''}"
        )
    return stat.st_size


def container(path: Path, max_bytes: int = MAX_BYTES) -> Container:
    """What kind of file this is, from its first bytes (the name is not looked at).

    Zip archives also have their directory checked, see ``check_zip``.

    Raises:
        WeightsError: none of the known kinds, or an archive that is damaged or a bomb.
    """
    size = check_file(path, max_bytes)
    with open_checked(path) as file:
        head = file.read(64)
    if head.startswith(_H5):
        return "h5"
    if head.startswith(b"PK"):
        names = [member.filename for member in check_zip(path, max_bytes)]
        if any(name.endswith("data.pkl") for name in names):
            return "torch zip"
        if names and all(name.endswith(".npy") for name in names):
            return "npz"
        raise WeightsError(f"{path}: is a zip archive, but of neither torch nor numpy arrays")
    if head[:1] == b"\x80" and head[1:2] in b"\x01\x02\x03\x04\x05":
        return "torch pickle"
    if len(head) > 8 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") < size:
        return "safetensors"
    if head[:1] in (b"\x0a", b"\x12", b"\xa2"):  # NetParameter fields 1, 2 and 100
        return "caffe"
    raise WeightsError(
        f"{path}: not a known kind of checkpoint; known are safetensors, torch (.pth, .pt, "
        f".pickle), Caffe (.caffemodel), Keras (.h5) and numpy (.npz)"
    )


class _Directory(io.FileIO):
    """A zip file for ``zipfile``, which reads the whole directory at once and without a limit."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > _MAX_DIRECTORY:
            raise ValueError(f"its directory has {size_text(size)}, for thousands of members")
        return super().read(size)


def check_zip(path: Path, max_bytes: int = MAX_BYTES) -> list[zipfile.ZipInfo]:
    """Members of a zip archive after a check of what the archive would unpack to.

    Refused are archives that declare more than the cap, compress like a bomb, declare more
    compressed bytes than the file has (overlapping members), or name a member twice.
    """
    try:
        with _Directory(path) as file, zipfile.ZipFile(file) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError) as error:
        raise WeightsError(
            f"{path}: damaged or cut archive ({reason(error)}); copy it again"
        ) from None
    check_count(path, len(members), MAX_TENSORS + 100, "archive members")
    unpacked = sum(member.file_size for member in members)
    packed = sum(member.compress_size for member in members)
    if unpacked > max_bytes:
        raise WeightsError(
            f"{path}: would unpack to {size_text(unpacked)}, above the limit of "
            f"{size_text(max_bytes)}; load_model(..., max_bytes=N) allows more"
        )
    if packed > path.stat().st_size:
        raise WeightsError(f"{path}: refused, its archive members overlap (a zip bomb)")
    if unpacked > _BOMB_BYTES and unpacked > _BOMB_RATIO * max(packed, 1):
        raise WeightsError(
            f"{path}: refused, {size_text(packed)} would unpack to {size_text(unpacked)} (a zip "
            f"bomb): weights do not compress like that"
        )
    if any(member.flag_bits & 1 for member in members):
        raise WeightsError(f"{path}: the archive is encrypted")
    if len({member.filename for member in members}) != len(members):
        raise WeightsError(f"{path}: refused, its archive has two members of the same name")
    return members


def check_count(path: Path, count: int, limit: int = MAX_TENSORS, what: str = "tensors") -> None:
    """Refuse a file of more parts than any checkpoint has: each takes time."""
    if count > limit:
        raise WeightsError(
            f"{path}: refused, it holds {count:,} {what}; no checkpoint has more than {limit:,}"
        )


def check_names(path: Path, names: Iterable[str]) -> None:
    """Refuse names of tensors that are thousands of letters long."""
    if long := next((name for name in names if len(name) > _MAX_NAME), None):
        raise WeightsError(f"{path}: refused, a tensor's name has {len(long):,} letters")


def check_expansion(path: Path, what: str, declared: int, stored: int, max_bytes: int) -> None:
    """Refuse an array that declares far more bytes than the file stores for it."""
    if declared > max_bytes:
        raise WeightsError(
            f"{path}: {what} declares {size_text(declared)}, above the limit of "
            f"{size_text(max_bytes)}; load_model(..., max_bytes=N) allows more"
        )
    if declared > _BOMB_BYTES and declared > _BOMB_RATIO * max(stored, 1):
        raise WeightsError(
            f"{path}: refused, {what} declares {size_text(declared)} of which only "
            f"{size_text(stored)} are stored"
        )


def sha256(path: Path) -> str:
    """Hex SHA-256 of a file."""
    with open_checked(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def damaged(path: Path, what: str, limit: int = 160) -> Iterator[None]:
    """Make one WeightsError of all that another library raises on bytes that it cannot use.

    zlib, zipfile, numpy, HDF5 and safetensors each fail in ways of their own on damaged files.
    """
    try:
        yield
    except WeightsError:
        raise
    except Exception as error:
        raise WeightsError(f"{path}: damaged or cut {what} ({one_line(error, limit)})") from None


def open_checked(path: Path) -> io.BufferedReader:
    """``open(path, "rb")`` with a WeightsError for a file that may not be read."""
    try:
        return path.open("rb")
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({reason(error)})") from None


def size_text(size: int) -> str:
    """A size for people: ``312 MB``, ``2.0 GB``."""
    if size >= 1e9:
        return f"{size / 1e9:.1f} GB"
    if size >= 1e6:
        return f"{size / 1e6:.0f} MB"
    if size >= 1e3:
        return f"{size / 1e3:.0f} kB"
    return f"{size} bytes"


def one_line(error: object, limit: int = 160) -> str:
    """First line of another library's message, cut to a length that fits an error line."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= limit else text[: limit - 3] + "..."


def reason(error: object) -> str:
    """Why another library failed, for an error line."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return one_line(error)
