"""Which files of an export are there, whole: name and SHA-256, noted as each is written.

The notes of an unfinished export lie in its folder; a finished one has them in its manifest.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # Windows: two exports into one folder are not told apart there
    fcntl = None  # type: ignore[assignment]

from ..errors import ExportError
from ..files import cannot_write, sha256

NOTES = "unfinished.jsonl"
_MOST = 64 * 1024**2  # characters of it that are read


class Ledger:
    """The files of the export in ``folder``; one process at a time writes there.

    Attributes:
        files: SHA-256 by name relative to ``folder``; "" of one that was begun.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.files = folder, dict[str, str]()
        self._lock = threading.Lock()
        self._notes: IO[str] | None = None

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """The folder is this process's own within the block; ``files`` are those noted there.

        Raises:
            ExportError: another export has it, or it cannot be written to.
        """
        path = self.folder / NOTES
        check_notes(path)
        try:
            notes = path.open("a+", encoding="utf-8", errors="replace")
        except OSError as error:
            raise cannot_write(path, error) from None
        with notes:
            try:
                if fcntl is not None:
                    fcntl.flock(notes, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if not os.path.samestat(os.fstat(notes.fileno()), path.stat()):
                    raise FileNotFoundError  # the other one has just finished
            except (BlockingIOError, FileNotFoundError):
                raise ExportError(
                    f"{self.folder} is being written by another export; wait for it, or choose "
                    f"another folder"
                ) from None
            except OSError:
                pass  # a file system without locks
            notes.seek(0)
            for line in notes.read(_MOST).splitlines():
                with contextlib.suppress(ValueError, TypeError, RecursionError):  # a line cut short
                    name, digest = json.loads(line)
                    self.files[str(name)] = str(digest)
            self._notes = notes
            yield

    def begin(self, files: Mapping[str, str]) -> None:
        """Note these files and no others."""
        assert self._notes is not None
        self._notes.truncate(0)
        self.files = {}
        for name, digest in files.items():
            self._note(name, digest)

    def has(self, path: Path) -> bool:
        """Whether the file is there, whole."""
        return bool(self.files.get(self._name(path)))

    def write(self, path: Path, make: Callable[[Path], object]) -> float:
        """Let ``make`` write the file unless it is there; returns the seconds that took."""
        began = time.perf_counter()
        if not self.has(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._note(self._name(path), "")  # first: what stands there from now on is ours
            make(path)
            self._note(self._name(path), sha256(path))
        return time.perf_counter() - began

    def _name(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix()

    def _note(self, name: str, digest: str) -> None:
        assert self._notes is not None
        with self._lock:
            self.files[name] = digest
            try:
                self._notes.write(json.dumps([name, digest]) + "\n")
                self._notes.flush()
            except OSError as error:
                raise cannot_write(self.folder / NOTES, error) from None


def check_notes(path: Path) -> None:
    """Refuse notes that have another name elsewhere: they are written where they lie.

    Every other file of an export is written beside its name and put in its place.

    Raises:
        ExportError: the file is a link, also a hard one.
    """
    with contextlib.suppress(FileNotFoundError):
        found = path.lstat()
        if stat.S_ISLNK(found.st_mode) or found.st_nlink > 1:
            raise ExportError(f"{path} is a link, which no export makes; remove it")


def whole(folder: Path, files: Mapping[str, str]) -> dict[str, str]:
    """Those of the files that are there with the bytes they were written with."""
    found = {}
    for name, digest in files.items():
        with contextlib.suppress(OSError):
            if digest and sha256(folder / name) == digest:
                found[name] = digest
    return found
