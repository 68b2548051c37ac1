"""The stages of an atlas, and the files of one call."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...engine import device_named
from ...errors import ExportError, VizError
from ...files import (
    make_folder,
    try_folder,
    whole_folder,
    write_json,
    write_text,
)
from ...progress import Progress
from ..identity import about, key_of, versions
from ..listener import Listener, peak_of_positions
from ..pieces import Piece, Video, scan_all
from ..ray_engine import Cluster, workers
from ..shards import Entry, Shard, merge, notes_of, read_batches
from ..videos import list_failures, text_of
from .bench import Bench
from .draw import Film, Place, compose, draw, strips_file, tiles_of
from .find import Found, find
from .opened import Atlas
from .page import page
from .scan import probe, scan
from .settings import AtlasSettings, fields_of
from .tables import ATLAS, INDEX, MAPS, MEDIA, SCHEMA, WINDOWS, media_file, write_index, write_maps

PAGE, ERRORS = "index.html", "errors.jsonl"
# what lies in the folder of parts
PARTS = re.compile(rf"[0-9a-f]{{12}}-[0-9a-f]{{64}}-[0-9]+(-[0-9]+\.parquet|\.npz)|{WINDOWS}")
_FILM = re.compile(r"[0-9]{2,}/[0-9]{4,}\.mp4")


class Run:
    """The network, what is said of it, and the files of one call."""

    def __init__(
        self,
        out: Path,
        settings: AtlasSettings,
        jobs: int,
        cluster: Cluster | None,
        overwrite: bool,
        progress: Progress | None,
    ) -> None:
        self.out, self.settings = out, settings
        if not out.name:
            raise ExportError(f"{out} is no name for a new folder; choose another")
        self.parts = out.with_name(f"{out.name}.parts")
        self.errors = out.with_name(f"{out.name}.errors.jsonl")  # where no atlas can be made
        self._progress = progress
        self._check_place(overwrite)
        device = device_named(settings.device)
        model, spec = settings.network.load()
        self.fields = fields_of(model, spec, settings)
        listener = Listener(
            model.to(device), spec, list(self.fields), settings.batch, peak_of_positions
        )
        self.layers, self.size = listener.layers, listener.size
        self.trained, self.clip = spec.trained, spec.input.shape[1:]
        self.about = about(settings, model, spec)
        same = {**self.about, "layers": list(self.fields)}
        for name in ("top", "per_video", "method"):  # do not change what is scanned
            del same[name]
        self.scan_key = key_of(same)
        self.draw_key = key_of({**same, "method": settings.method})
        self.columns = [(i, c) for i, n in enumerate(self.layers.values()) for c in range(n)]
        arguments = (settings, self.fields, self.parts, self.scan_key, self.draw_key)
        self.workers = workers(Bench, arguments, jobs, cluster, settings.device)
        self._pieces = dict[str, dict[Piece, Shard]]()
        self._done = self._total = 0

    def _check_place(self, overwrite: bool) -> None:
        if not os.path.lexists(self.out):
            try_folder(self.out.parent)
            return
        if not self.out.is_dir():
            raise ExportError(f"{self.out} is a file; choose a folder for the atlas")
        if any(self.out.iterdir()) and not overwrite:
            raise ExportError(
                f"{self.out} exists already; replace it with --overwrite, or choose another folder"
            )
        _files_of(self.out)
        try_folder(self.out)

    def options(self) -> list[str]:
        """The words of the command line after the videos; nothing that changes no byte."""
        chosen = self.settings
        words = ["-o", text_of(self.out)]
        for layer in chosen.layers:
            words += ["--layer", layer]
        for name in ("top", "stride", "per_video", "method", "batch"):
            words += [f"--{name.replace('_', '-')}", str(getattr(chosen, name))]
        return [*words, *chosen.network.options()]

    def scan(self, found: Sequence[Path]) -> tuple[list[Video], list[tuple[str, str]]]:
        """Every video that can be used, in order, its shards written; (path, why) of the rest."""

        def done(piece: Piece, windows: int, videos: int) -> None:
            most = min(self.settings.top, self.settings.per_video * videos)
            self._total = 2 * windows + self.size * (1 + most)
            self._tell(2 * (piece.end - piece.first), text_of(piece.video.path))

        def opened(path: Path, seen: int) -> None:
            if self._progress is not None:
                self._progress(seen, len(found), f"videos looked at: {text_of(path)}")

        scanned = scan_all(self.workers, probe, scan, found, opened, done)
        self._pieces |= scanned.pieces
        wrong = scanned.wrong
        failed = [(text_of(path), wrong[path]) for path in found if path in wrong]
        return scanned.videos, failed

    def find(self, videos: Sequence[Video]) -> Found:
        """Write the table of all windows, and say what it holds; one pass over it."""
        entries = (self._entry(video) for video in videos)
        table = self.parts / WINDOWS
        merge(table, entries, self.size, "start", self.about)
        return find(table, videos, list(self.layers.values()), self.settings)

    def _entry(self, video: Video) -> Entry:
        pieces = self._pieces[video.sha256]
        batches = read_batches(piece.file(self.parts, self.scan_key) for piece in pieces)
        notes = notes_of(pieces.values())
        return Entry(text_of(video.path), video.sha256, video.frames, notes, batches)

    def draw(self, told: Found) -> dict[Path, str]:
        """Draw every window that wins; why, of the videos that can no longer be read."""
        tasks = told.drawings(self.columns)
        drawings = [len(places) for task in tasks for places in task.windows.values()]
        films = {place for task in tasks for places in task.windows.values() for place in places}
        self._total = self._done + sum(drawings) + len(films)
        lost: dict[Path, str] = {}
        for task, done in self.workers.run(draw, tasks):
            if isinstance(done, ExportError):
                raise done
            if isinstance(done, VizError):
                lost[task.path] = str(done)
            else:
                told.drawn[task.sha256] = done
            self._tell(sum(map(len, task.windows.values())), f"drew {text_of(task.path)}")
        return lost

    def write(
        self, told: Found, failed: Sequence[tuple[str, str]], repeated: int, command: str
    ) -> Path:
        """The folder with everything in it, whole or not at all; the page's place."""
        paths = [text_of(video.path) for video in told.videos]
        tops = told.tops(list(self.layers), self.columns, paths)
        films: dict[Place, list[Path]] = {}
        names = {name: number for number, name in enumerate(self.layers)}
        for top in tops:
            place = names[top.layer], top.channel
            film = films.setdefault(place, [])
            film.append(strips_file(self.parts, self.draw_key, top.sha256, top.start))
        described = {
            "schema": SCHEMA,
            **self.about,
            "trained": self.trained,
            "layers": [self._layer(name) for name in self.layers],
            "videos": len(told.videos),
            "windows": sum(video.windows for video in told.videos),
            "left_out": len(failed),
            "repeated": repeated,
            "versions": versions(),
            "command": command,
        }
        with whole_folder(self.out) as folder:
            self._compose(folder, films)
            (self.parts / WINDOWS).replace(folder / WINDOWS)
            write_index(folder / INDEX, tops)
            write_maps(folder / MAPS, told.maps(list(self.layers), self.columns))
            write_json(folder / ATLAS, described)
            list_failures(folder / ERRORS, failed)
            write_text(folder / PAGE, page(Atlas.open(folder)))
            if self.out.is_dir():
                for file in _files_of(self.out):
                    file.unlink() if not file.is_dir() else file.rmdir()
        list_failures(self.errors, [])
        return self.out / PAGE

    def _compose(self, folder: Path, films: Mapping[Place, Sequence[Path]]) -> None:
        for layer in {layer for layer, _ in films}:
            make_folder((folder / media_file(layer, 0)).parent)
        tasks = [Film(p, folder / media_file(*p), strips) for p, strips in films.items()]
        for film, done in self.workers.run(compose, tasks):
            if isinstance(done, VizError):
                raise done
            self._tell(1, f"film of {list(self.layers)[film.place[0]]} {film.place[1]}")

    def _layer(self, name: str) -> dict[str, Any]:
        field = self.fields[name]
        return {
            "layer": name,
            "channels": self.layers[name],
            "field": None if field is None else list(field.size),
            "tiles": tiles_of(field, self.clip),
        }

    def _tell(self, steps: int, what: str) -> None:
        self._done += steps
        if self._progress is not None:
            self._progress(self._done, max(self._total, self._done), what)


def _files_of(folder: Path) -> list[Path]:
    """What an atlas wrote into a folder, files before the folders that hold them.

    Raises:
        ExportError: it holds anything else, or a link.
    """
    names = {ATLAS, INDEX, MAPS, WINDOWS, PAGE, ERRORS}
    inner = sorted(folder.rglob("*"), key=lambda path: -len(path.parts))
    for path in inner:
        name = path.relative_to(folder).as_posix()
        in_media = name == MEDIA or (path.is_dir() and re.fullmatch(rf"{MEDIA}/[0-9]+", name))
        film = _FILM.fullmatch(name.removeprefix(f"{MEDIA}/"))
        if path.is_symlink() or not (name in names or in_media or film):
            raise ExportError(f"{folder} holds other things than an atlas; choose another folder")
    return inner
