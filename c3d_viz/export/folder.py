"""The folder of an export: is it free, is it ours, what of it is there already.

A manifest may come from anybody. It is checked before anything is done, and it never says which
file to remove: removed is what lies where an export writes, by the names that an export gives.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import ExportError
from ..files import is_part, read_json, try_folder, write_json
from . import page as export_page
from .artefacts import ARTEFACTS
from .settings import check_same

MANIFEST, UNFINISHED, PAGE = "manifest.json", "unfinished.json", "index.html"
_ROOT_FILES = rf"{re.escape(MANIFEST)}|{re.escape(UNFINISHED)}|{re.escape(PAGE)}"
_UNIT_FILES = "|".join(re.escape(artefact.file) for artefact in ARTEFACTS)


def check_folder(folder: Path, *, resume: bool, overwrite: bool) -> None:
    """Refuse a folder that must not be written to, before any work is done.

    Raises:
        ExportError: it exists and neither resume nor overwrite is asked for, or is not an export,
            or an export that is damaged or has links in it, or cannot be written to.
    """
    if resume and overwrite:
        raise ExportError("resume and overwrite exclude each other; choose one")
    if not os.path.lexists(folder):
        try_folder(folder)
        return
    if not folder.is_dir():
        raise ExportError(f"{folder} is a file; choose a folder to export to")
    if not resume and not overwrite:
        raise ExportError(
            f"{folder} exists already; go on with --resume, replace with --overwrite, or choose "
            f"another folder"
        )
    if _earlier(folder) is None and any(folder.iterdir()):
        raise ExportError(f"{folder} holds other things than an export; choose another folder")


def prepare(
    folder: Path, manifest: dict[str, Any], *, resume: bool, overwrite: bool
) -> Path | None:
    """Make the folder ready; the manifest's path if a resumed export proves to be whole."""
    before = _earlier(folder) if (resume or overwrite) and folder.is_dir() else None
    if before is not None and resume:
        check_same(folder, before, manifest)
    try:
        if before is not None:
            _remove(folder, before, only_parts=resume)
        folder.mkdir(parents=True, exist_ok=resume or overwrite)
    except FileExistsError:
        raise ExportError(f"{folder} was just made by another export; choose another") from None
    except OSError as error:
        raise ExportError(f"cannot write to {folder}: {error.strerror}; choose another") from None
    whole = (folder / MANIFEST).is_file()
    if whole and all((folder / name).is_file() for name in export_page.files_of(before or {})):
        return folder / MANIFEST
    # a manifest vouches for every file, so it goes until they are all there again
    write_json(folder / UNFINISHED, manifest)
    (folder / MANIFEST).unlink(missing_ok=True)
    return None


def _earlier(folder: Path) -> dict[str, Any] | None:
    """The manifest of the export in ``folder``, finished or not; None where there is none.

    Raises:
        ExportError: it is not what an export writes, or something lies behind a link.
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
            for listed in export_page.files_of(manifest) if name == MANIFEST else ():
                _demand(file.fullmatch(listed), "a file lies where no export writes")
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            reason = error if type(error) is ValueError else "entries are missing"
            raise ExportError(
                f"{path} is damaged ({reason}); nothing was changed, choose another folder"
            ) from None
        for _ in _ours(folder, manifest):
            pass  # refuses links
        return manifest
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


def _ours(folder: Path, manifest: dict[str, Any]) -> Iterator[Path]:
    """Files and folders that the export wrote, the inner ones first; never behind a link.

    Raises:
        ExportError: one of them is a link.
    """
    file, inner = _patterns(manifest)

    def walk(place: Path) -> Iterator[Path]:
        for entry in sorted(os.scandir(place), key=lambda entry: entry.name):
            path = place / entry.name
            name = path.relative_to(folder).as_posix()
            if not (file.fullmatch(name) or inner.fullmatch(name) or is_part(entry.name)):
                continue
            if entry.is_symlink():
                raise _linked(path)
            if entry.is_dir() and inner.fullmatch(name):
                yield from walk(path)
                yield path
            elif entry.is_file() and not inner.fullmatch(name):
                yield path

    return walk(folder)


def _linked(path: Path) -> ExportError:
    return ExportError(f"{path} is a link, which no export makes; remove it or choose another")


def _remove(folder: Path, before: dict[str, Any], *, only_parts: bool) -> None:
    """Remove what an earlier export wrote, and nothing else that lies there."""
    for path in list(_ours(folder, before)):
        if path.is_dir():
            if not only_parts:
                with contextlib.suppress(OSError):  # something of somebody else's is in it
                    path.rmdir()
        elif not only_parts or is_part(path.name):
            path.unlink(missing_ok=True)
