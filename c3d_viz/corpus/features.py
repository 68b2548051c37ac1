"""Descriptors of many videos as one Parquet file: resumable, and the same bytes each time."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..clips import WindowStream, counting_order, find_videos
from ..engine import device_named
from ..errors import ClipError, ExportError, VizError
from ..files import is_part, make_folder, sha256, try_folder, write_text
from ..nets import ModelSpec
from ..progress import Progress
from ..weights import NetworkChoice
from .descriptors import Describer, Mean, Vectors
from .shards import Shard, merge, read_shard, write_shard

_SHARD = re.compile(r"[0-9a-f]{12}-[0-9a-f]{64}\.parquet")
_VERSIONS = ("c3d-viz", "torch", "numpy", "opencv-python", "opencv-python-headless", "av", "pillow")


@dataclass(frozen=True)
class FeatureSettings:
    """What is computed of each video; ``describe`` says what the fields mean.

    Attributes:
        windows: a row for each window, its vector not normalised, in place of one for the video.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
    """

    network: NetworkChoice = field(default_factory=NetworkChoice)
    layer: str = "fc6"
    overlap: int = 8
    windows: bool = False
    batch: int = 8
    device: str = "cpu"


@dataclass(frozen=True)
class FeatureReport:
    """What became of a run.

    Attributes:
        videos: number of videos in the file.
        rows: its number of rows.
        failed: (path, why) of each video that is not in it.
        errors: the file that lists those, or None where there are none.
    """

    videos: int
    rows: int
    failed: tuple[tuple[str, str], ...]
    errors: Path | None


def write_features(
    videos: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    settings: FeatureSettings | None = None,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> FeatureReport:
    """Describe many videos and write a Parquet file with a row for each, or for each window.

    Columns: path, sha256, frames, windows (or start, of a window), vector (D float32), notes; rows
    in counting order of the paths. What was computed so far lies in ``<out>.parts``, a file for
    each video by its SHA-256; the same call goes on from there, and the last step removes it. A
    video that cannot be used is left out and listed in ``<out>.errors.jsonl``.

    Args:
        videos: video files, folders of frames, and folders of either; each file counts once.
        out: ends in ``.parquet``; its folder is made.
        overwrite: replace a file of that name.
        progress: called with windows done, about how many there are, and the video's name.

    Raises:
        ExportError: the file is in the way, or cannot be written.
        ClipError: a folder holds no videos, or none of all videos can be used.
        VizError: what ``load_model`` and ``describe`` raise of the network, layer and overlap.
    """
    settings = settings or FeatureSettings()
    run = _Run(Path(out), settings, overwrite)
    found = _distinct(find_videos([Path(video) for video in videos]))
    make_folder(run.parts)
    done: list[tuple[str, str, Path, Shard]] = []
    failed: list[tuple[str, str]] = []
    tally = _Tally(len(found), progress)
    for path in found:
        tally.begin(_text(path))
        try:
            digest, file, shard = run.shard(path, tally)
        except ExportError:
            raise
        except VizError as error:
            tally.skip()
            failed.append((_text(path), str(error)))
        else:
            done.append((_text(path), digest, file, shard))
    errors = run.list_errors(failed)
    if not done:
        raise ClipError(f"none of {len(found)} videos can be used; the first: {failed[0][1]}")
    rows = merge(run.out, done, run.size, each_window=settings.windows, about=run.about)
    run.clean()
    return FeatureReport(len(done), rows, tuple(failed), errors)


class _Run:
    """The network, what is said of it, and the files of one call."""

    def __init__(self, out: Path, settings: FeatureSettings, overwrite: bool) -> None:
        if out.suffix != ".parquet":
            raise ExportError(f"features are written as .parquet, got {str(out)!r}")
        self.out, self.settings = out, settings
        self.parts = out.with_name(f"{out.name}.parts")
        self.errors = out.with_name(f"{out.name}.errors.jsonl")
        self._check_places(overwrite)
        device = device_named(settings.device)
        model, spec = settings.network.load()
        self.describer = Describer(
            model.to(device), spec, settings.layer, settings.overlap, settings.batch
        )
        self.size = self.describer.size()
        self.about = _about(settings, spec)
        exact = {"tensors": _fingerprint(model), "versions": _versions(), **self.about}
        self._key = hashlib.sha256(json.dumps(exact, sort_keys=True).encode()).hexdigest()[:12]

    def _check_places(self, overwrite: bool) -> None:
        for place in (self.out, self.errors):
            try:
                folder = place.is_dir()
            except (OSError, ValueError) as error:  # a name too long, or with a NUL
                reason = getattr(error, "strerror", None) or error
                raise ExportError(f"cannot write {place}: {reason}; choose another name") from None
            if folder:
                raise ExportError(f"{place} is a folder; choose another name")
        if os.path.lexists(self.out) and not overwrite:
            raise ExportError(
                f"{self.out} exists already; replace it with --overwrite, or choose another name"
            )
        try_folder(self.out.parent)

    def shard(self, path: Path, tally: _Tally) -> tuple[str, Path, Shard]:
        """SHA-256, shard's file and shard of a video; computed unless it is there."""
        stream = self.describer.stream(path)
        try:
            digest = sha256(path)
        except OSError as error:
            raise ClipError(f"{stream.label} cannot be read: {error.strerror or error}") from None
        file = self.parts / f"{self._key}-{digest}.parquet"
        tally.expect(len(stream.starts))
        shard = read_shard(file, self.size)
        if shard is None:
            about: dict[str, Any] = {"frames": stream.frames, "windows": len(stream.starts)}
            vectors = self._vectors(stream, about, tally)
            shard = write_shard(file, self.size, vectors, about)
        else:
            tally.add(len(stream.starts))
        return digest, file, shard

    def _vectors(
        self, stream: WindowStream, about: dict[str, Any], tally: _Tally
    ) -> Iterator[tuple[Sequence[int], Vectors]]:
        mean = Mean()
        for answer in self.describer.vectors(stream):
            if self.settings.windows:
                yield stream.starts[mean.count : mean.count + len(answer)], answer
            mean.add(answer)
            tally.add(len(answer))
        if not self.settings.windows:
            yield stream.starts[:1], mean.direction(stream.label, self.describer.layer)[None]
        about["notes"] = stream.notes

    def list_errors(self, failed: Sequence[tuple[str, str]]) -> Path | None:
        """Write the list of videos that were left out, or remove one of an earlier run."""
        if not failed:
            self.errors.unlink(missing_ok=True)
            return None
        lines = (json.dumps({"path": p, "error": e}, ensure_ascii=False) for p, e in failed)
        write_text(self.errors, "".join(f"{line}\n" for line in lines))
        return self.errors

    def clean(self) -> None:
        """Remove the shards; whatever else lies in their folder stays."""
        with contextlib.suppress(OSError):  # what is left is in nobody's way
            for file in list(self.parts.iterdir()):
                if _SHARD.fullmatch(file.name) or is_part(file.name):
                    file.unlink(missing_ok=True)
            self.parts.rmdir()


class _Tally:
    """Windows done and about how many there are, known better with every video that is opened."""

    def __init__(self, videos: int, progress: Progress | None) -> None:
        self._videos, self._progress = videos, progress
        self._opened = self._known = self._done = 0
        self._label = ""

    def begin(self, label: str) -> None:
        self._opened, self._label = self._opened + 1, label

    def expect(self, windows: int) -> None:
        self._known += windows

    def skip(self) -> None:
        """The video gives no windows, or no more."""
        self._known = self._done
        self.add(0)

    def add(self, windows: int) -> None:
        self._done += windows
        if self._progress is not None:
            total = round(self._known * self._videos / self._opened)
            which = f"video {self._opened} of {self._videos}"
            self._progress(self._done, total, f"windows, {which}: {self._label}")


def _distinct(found: Sequence[tuple[Path, bool]]) -> list[Path]:
    """Each file once, under the name that came first, in counting order of the names."""
    names = dict[str, Path]()
    for path, _ in found:
        names.setdefault(os.path.realpath(path), path)
    return sorted(names.values(), key=lambda path: counting_order(_text(path)))


def _text(path: Path) -> str:
    """The path as UTF-8; bytes that are none as ``\\xff``."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _about(settings: FeatureSettings, spec: ModelSpec) -> dict[str, Any]:
    """What the file says of itself: nothing that differs between two runs alike."""
    takes = {k: v for k, v in vars(spec.input).items() if k != "mean_volume"}
    volume = spec.input.mean_volume
    if volume is not None:
        takes["mean_volume"] = hashlib.sha256(volume.tobytes()).hexdigest()
    chosen = {f.name: getattr(settings, f.name) for f in dataclasses.fields(settings)}
    del chosen["network"]
    return {
        **chosen,
        "model": spec.name,
        "weights": spec.weights,
        "weights_sha256": spec.sha256,
        "code_sha256": spec.code_sha256,
        "pool5": spec.pool5,
        "input": takes,
    }


def _fingerprint(model: nn.Module) -> str:
    """SHA-256 of all weights and buffers: a network of one's own may come from anywhere."""
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        if isinstance(tensor, Tensor):
            values = tensor.detach().cpu().contiguous()
            digest.update(f"{name} {values.dtype} {tuple(values.shape)}\0".encode())
            digest.update(values.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _versions() -> dict[str, str]:
    versions = {}
    for name in _VERSIONS:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions
