"""The folder of an export: is it free, is it ours, what of it is there already."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import Any

from ..errors import ExportError
from ..files import is_part, read_json, write_json
from . import page as export_page
from .settings import check_same

MANIFEST, UNFINISHED, PAGE = "manifest.json", "unfinished.json", "index.html"


def check_folder(folder: Path, *, resume: bool, overwrite: bool) -> None:
    """Refuse a folder that must not be written to, before any work is done.

    Raises:
        ExportError: it exists and neither resume nor overwrite is asked for, or is not an export.
    """
    if resume and overwrite:
        raise ExportError("resume and overwrite exclude each other; choose one")
    if not folder.exists() and not folder.is_symlink():
        return
    if not folder.is_dir():
        raise ExportError(f"{folder} is a file; choose a folder to export to")
    if not resume and not overwrite:
        raise ExportError(
            f"{folder} exists already; go on with --resume, replace with --overwrite, or choose "
            f"another folder"
        )
    ours = any((folder / name).is_file() for name in (MANIFEST, UNFINISHED))
    if not ours and any(folder.iterdir()):
        raise ExportError(f"{folder} holds other things than an export; choose another folder")


def prepare(
    folder: Path, manifest: dict[str, Any], *, resume: bool, overwrite: bool
) -> Path | None:
    """Make the folder ready; the manifest's path if a resumed export proves to be whole."""
    try:
        if overwrite and folder.exists():
            _remove_export(folder)
        folder.mkdir(parents=True, exist_ok=resume or overwrite)
    except FileExistsError:
        raise ExportError(f"{folder} was just made by another export; choose another") from None
    except OSError as error:
        raise ExportError(f"cannot write to {folder}: {error.strerror}; choose another") from None
    if resume:
        before = read_json(folder / MANIFEST)
        started = before or read_json(folder / UNFINISHED)
        if started is not None:
            check_same(folder, started, manifest)
        remove_parts(folder)
        if before is not None:
            if all((folder / name).is_file() for name in export_page.files_of(before)):
                return folder / MANIFEST
            # the manifest vouches for every file, so it goes until they are all there again
            write_json(folder / UNFINISHED, manifest)
            (folder / MANIFEST).unlink()
            return None
    write_json(folder / UNFINISHED, manifest)
    return None


def _remove_export(folder: Path) -> None:
    """Remove what an earlier export wrote, and nothing else that lies there."""
    before = read_json(folder / MANIFEST) or read_json(folder / UNFINISHED)
    (folder / MANIFEST).unlink(missing_ok=True)
    names = (before or {}).get("parameters", {})
    layers = names.get("layers", []) if isinstance(names, dict) else []
    for place in [folder, *folder.glob("window-[0-9]*")]:
        for name in (*layers, "input.mp4"):
            target = place / str(name)
            shutil.rmtree(target) if target.is_dir() else target.unlink(missing_ok=True)
        if place != folder:
            with contextlib.suppress(OSError):
                place.rmdir()
    (folder / PAGE).unlink(missing_ok=True)
    (folder / UNFINISHED).unlink(missing_ok=True)
    remove_parts(folder)


def remove_parts(folder: Path) -> None:
    """Delete what a killed run left half-written below ``folder``."""
    for part in folder.rglob(".*"):
        if is_part(part.name) and part.is_file():
            part.unlink(missing_ok=True)
