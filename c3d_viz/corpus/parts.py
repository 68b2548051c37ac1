"""The folder of what is kept on the way: of one run at a time, or of runs that each do a share."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import ExportError
from ..files import is_part, kept_if_filled

try:
    import fcntl
except ImportError:  # pragma: no cover - not there on Windows
    fcntl = None  # type: ignore[assignment]


@contextmanager
def held(parts: Path, *, shared: bool = False) -> Iterator[None]:
    """Make the folder for the block, which alone may use it; gone again if it is empty then.

    The last run removes what it has merged: another one beside it would lose it half way. On a
    file system without locks nobody is kept out.

    Args:
        shared: beside others that are ``shared`` too.

    Raises:
        ExportError: another run has it; it cannot be made.
    """
    with kept_if_filled(parts), contextlib.ExitStack() as kept:
        if fcntl is not None:
            try:
                folder = os.open(parts, os.O_RDONLY)
                kept.callback(os.close, folder)
                fcntl.flock(folder, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
                if not os.path.samestat(os.fstat(folder), parts.stat()):
                    raise FileNotFoundError  # the other one has just finished
            except (BlockingIOError, FileNotFoundError):
                raise ExportError(
                    f"another run is at work in {parts}; wait for it, or choose another name"
                ) from None
            except OSError:
                pass  # a file system without locks
        yield


def clear(parts: Path, ours: re.Pattern[str]) -> None:
    """Remove the files whose whole names match; whatever else lies in the folder stays."""
    with contextlib.suppress(OSError):  # what is left is in nobody's way
        for file in list(parts.iterdir()):
            if ours.fullmatch(file.name) or is_part(file.name):
                file.unlink(missing_ok=True)
        parts.rmdir()
