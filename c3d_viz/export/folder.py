"""The folder of an export: is it free, is it ours, what of it is there already.

A manifest may come from anybody. It is checked before anything is done; removed are the files that
it or the notes of a stopped export list, and only where an export writes.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import ExportError
from ..files import cannot_write, part_of, read_json, try_folder, write_json
from . import page as export_page
from .ledger import NOTES, Ledger, check_notes, whole
from .manifest import check_manifest, places
from .settings import check_same

MANIFEST, UNFINISHED, PAGE = "manifest.json", "unfinished.json", "index.html"
_OWN = (MANIFEST, UNFINISHED, NOTES)  # what says that the folder is an export
_AT_ROOT = (*_OWN, PAGE)


def check_folder(folder: Path, *, resume: bool, overwrite: bool) -> None:
    """Refuse a folder that must not be written to, before any work is done.

    Raises:
        ExportError: it exists and neither resume nor overwrite is asked for, or is not an export,
            or an export that is damaged or has links in it, or cannot be written to.
    """
    if resume and overwrite:
        raise ExportError("resume and overwrite exclude each other; choose one")
    if os.path.lexists(folder):
        if not folder.is_dir():
            raise ExportError(f"{folder} is a file; choose a folder to export to")
        if not resume and not overwrite:
            raise ExportError(
                f"{folder} exists already; go on with --resume, replace with --overwrite, or "
                f"choose another folder"
            )
        _earlier(folder)
        check_notes(folder / NOTES)
    try_folder(folder)


@contextlib.contextmanager
def prepared(
    ledger: Ledger, manifest: dict[str, Any], *, resume: bool, overwrite: bool
) -> Iterator[bool]:
    """The folder made ready and kept from other exports; True if a resumed one is whole already.

    Raises:
        ExportError: as ``check_folder``, or another export is at work, or what is in the folder is
            of other settings or in the way; nothing has been changed then.
    """
    folder = ledger.folder
    try:
        folder.mkdir(parents=True, exist_ok=resume or overwrite)
    except FileExistsError:
        raise ExportError(f"{folder} was just made by another export; choose another") from None
    except OSError as error:
        raise cannot_write(folder, error) from None
    with ledger.held():
        try:
            yield _ready(ledger, manifest, resume)
        finally:
            if not ledger.files or not (folder / UNFINISHED).exists():
                (folder / NOTES).unlink(missing_ok=True)


def finish(ledger: Ledger, manifest: dict[str, Any]) -> Path:
    """Write the manifest, which vouches for every file by its hash; returns its path."""
    path = ledger.folder / MANIFEST
    write_json(path, {**manifest, "files": dict(sorted(ledger.files.items()))})
    (ledger.folder / UNFINISHED).unlink(missing_ok=True)
    return path


def _ready(ledger: Ledger, manifest: dict[str, Any], resume: bool) -> bool:
    folder = ledger.folder
    before = _earlier(folder)
    is_file, _ = places(before or manifest, _AT_ROOT)
    vouched = _files_of(before) if before and "windows" in before else {}
    listed = {name: digest for name, digest in {**vouched, **ledger.files}.items() if is_file(name)}
    if resume and before is not None:
        check_same(folder, before, manifest)
    ours = {*listed, *_OWN}
    for name in _entries(folder, manifest):
        if not resume and _target(name) not in ours:
            raise ExportError(
                f"{folder / name} is in the way: no export wrote it; move it or choose another "
                f"folder"
            )
    kept = whole(folder, listed) if resume else {}
    if resume and (folder / MANIFEST).exists() and kept.keys() == listed.keys():
        (folder / UNFINISHED).unlink(missing_ok=True)
        return True
    # a manifest vouches for every file, so it goes until they are all there again
    write_json(folder / UNFINISHED, manifest)
    stay = {*kept, *_OWN}
    for name in list(_entries(folder, before or manifest)):  # half-written ones too
        if name not in stay and _target(name) in ours:
            (folder / name).unlink(missing_ok=True)
    above = {place for name in listed.keys() - kept for place in Path(name).parents[:-1]}
    for place in sorted(above, key=lambda place: -len(place.parts)):
        with contextlib.suppress(OSError):  # something of somebody else's is in it
            (folder / place).rmdir()
    ledger.begin(kept)
    (folder / MANIFEST).unlink(missing_ok=True)
    return False


def _files_of(manifest: dict[str, Any]) -> dict[str, str]:
    """Every file that a manifest vouches for and its SHA-256; "" where it gives none."""
    return {**dict.fromkeys(export_page.files_of(manifest), ""), **manifest.get("files", {})}


def _earlier(folder: Path) -> dict[str, Any] | None:
    """The manifest of the export in ``folder``, finished or not; None where it is empty.

    Raises:
        ExportError: it holds other things, the manifest is not what an export writes, or where an
            export writes something else lies: a link, a folder for a file.
    """
    for name in (MANIFEST, UNFINISHED):
        path = folder / name
        if path.is_symlink():
            raise _linked(path)
        manifest = read_json(path)
        if manifest is None:
            continue
        try:
            finished = name == MANIFEST or "windows" in manifest
            check_manifest(manifest, finished=finished)
            is_file, _ = places(manifest, _AT_ROOT)
            if finished and not all(map(is_file, _files_of(manifest))):
                raise ValueError("a file lies where no export writes")
        except ValueError as error:
            raise ExportError(
                f"{path} is damaged ({error}); nothing was changed, choose another folder"
            ) from None
        for _ in _entries(folder, manifest):
            pass  # refuses links
        return manifest
    for entry in folder.iterdir():
        if entry.name != NOTES or entry.is_symlink() or entry.stat().st_size:
            raise ExportError(f"{folder} holds other things than an export; choose another folder")
    return None


def _entries(folder: Path, manifest: dict[str, Any]) -> Iterator[str]:
    """Names of the files that lie where an export writes; never behind a link.

    Raises:
        ExportError: one of them is a link, or a folder or pipe in the place of a file.
    """
    is_file, is_folder = places(manifest, _AT_ROOT)

    def walk(place: Path) -> Iterator[str]:
        for entry in sorted(os.scandir(place), key=lambda entry: entry.name):
            path = place / entry.name
            name = path.relative_to(folder).as_posix()
            inner = is_folder(name)
            if not (inner or is_file(_target(name))):
                continue
            if entry.is_symlink():
                raise _linked(path)
            if not (entry.is_dir() if inner else entry.is_file()):
                what = "no folder" if inner else "no file"
                raise ExportError(f"{path} is in the way: it is {what}; move it away")
            if inner and not os.access(path, os.W_OK | os.X_OK):
                raise cannot_write(path, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))
            if inner:
                yield from walk(path)
            else:
                yield name

    return walk(folder)


def _target(name: str) -> str:
    """The name itself, or of a half-written file that of the whole one."""
    folder, _, last = name.rpartition("/")
    return f"{folder}/{part_of(last) or last}".lstrip("/")


def _linked(path: Path) -> ExportError:
    return ExportError(f"{path} is a link, which no export makes; remove it or choose another")
