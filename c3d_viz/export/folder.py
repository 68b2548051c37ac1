"""The folder of an export: is it free, is it ours, what of it is there already.

A manifest may come from anybody. It is checked before anything is done; removed are the files that
it or the notes of a stopped export list, and only where an export writes.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import ExportError
from ..files import cannot_write, part_of, read_json, try_folder, write_json
from . import page as export_page
from .artefacts import ARTEFACTS
from .ledger import NOTES, Ledger, check_notes, whole
from .settings import check_same

MANIFEST, UNFINISHED, PAGE = "manifest.json", "unfinished.json", "index.html"
_OWN = (MANIFEST, UNFINISHED, NOTES)  # what says that the folder is an export
_ROOT_FILES = "|".join(map(re.escape, (*_OWN, PAGE)))
_UNIT_FILES = "|".join(re.escape(artefact.file) for artefact in ARTEFACTS)


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
    file, _ = _patterns(before or manifest)
    vouched = _files_of(before) if before and "windows" in before else {}
    listed = {
        name: digest for name, digest in {**vouched, **ledger.files}.items() if file.fullmatch(name)
    }
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
    places = {place for name in listed.keys() - kept for place in Path(name).parents[:-1]}
    for place in sorted(places, key=lambda place: -len(place.parts)):
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
            for key in ("clip", "model", "versions"):
                _demand(isinstance(manifest.get(key, {}), dict), f"{key} is no object")
            file, _ = _patterns(manifest)
            for listed, digest in _files_of(manifest).items() if name == MANIFEST else ():
                _demand(file.fullmatch(listed), "a file lies where no export writes")
                _demand(isinstance(digest, str), "a hash is no text")
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            reason = error if type(error) is ValueError else "entries are missing"
            raise ExportError(
                f"{path} is damaged ({reason}); nothing was changed, choose another folder"
            ) from None
        for _ in _entries(folder, manifest):
            pass  # refuses links
        return manifest
    for entry in folder.iterdir():
        if entry.name != NOTES or entry.is_symlink() or entry.stat().st_size:
            raise ExportError(f"{folder} holds other things than an export; choose another folder")
    return None


def _names(manifest: dict[str, Any], key: str) -> list[str]:
    """Names of folders that the export made: single words, no way out of it."""
    names = manifest["parameters"][key]
    _demand(isinstance(names, list), f"{key} is no list")
    for name in names:
        fits = isinstance(name, str) and re.fullmatch(r"[^./\\][^/\\]{0,199}", name)
        _demand(fits and name.isprintable(), f"{key} holds something else than names")
    return list(names)


def _demand(holds: object, reason: str) -> None:
    if not holds:
        raise ValueError(reason)


def _patterns(manifest: dict[str, Any]) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """What files and folders of an export are called, relative to it."""
    layer, method = (
        "(?:" + "|".join(map(re.escape, _names(manifest, key))) + ")"
        for key in ("layers", "methods")
    )
    window, unit = r"(?:window-\d+/)?", r"ch\d+"
    below = rf"input\.mp4|{layer}/(?:activations\.(?:npz|png)|{method}/(?:sheet\.png"
    below += rf"|{unit}/(?:{_UNIT_FILES})))"
    folders = rf"window-\d+|{window}{layer}(?:/{method}(?:/{unit})?)?"
    return re.compile(rf"{_ROOT_FILES}|{window}(?:{below})"), re.compile(folders)


def _entries(folder: Path, manifest: dict[str, Any]) -> Iterator[str]:
    """Names of the files that lie where an export writes; never behind a link.

    Raises:
        ExportError: one of them is a link, or a folder or pipe in the place of a file.
    """
    file, inner = _patterns(manifest)

    def walk(place: Path) -> Iterator[str]:
        for entry in sorted(os.scandir(place), key=lambda entry: entry.name):
            path = place / entry.name
            name = path.relative_to(folder).as_posix()
            is_folder = inner.fullmatch(name)
            if not (is_folder or file.fullmatch(_target(name))):
                continue
            if entry.is_symlink():
                raise _linked(path)
            if not (entry.is_dir() if is_folder else entry.is_file()):
                what = "no folder" if is_folder else "no file"
                raise ExportError(f"{path} is in the way: it is {what}; move it away")
            if is_folder and not os.access(path, os.W_OK | os.X_OK):
                raise cannot_write(path, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))
            if is_folder:
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
