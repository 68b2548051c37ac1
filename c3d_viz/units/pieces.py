"""Pieces of a run are kept as soon as they are measured: a run that was stopped goes on."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from torch import nn

from .. import __version__
from ..files import is_part
from ..nets import ModelSpec, fingerprint
from ..progress import Progress
from ..work import Arrays, Piece, one

T = TypeVar("T")

_OURS = re.compile(r".+-[0-9a-f]{12}\.npz")


class Keep(Protocol):
    """Where pieces are kept."""

    def __call__(self, piece: Piece) -> Arrays:
        """The piece's arrays, made where they are not kept yet."""

    def __contains__(self, piece: Piece) -> bool:
        """Whether they are."""


class Nowhere:
    """Every piece is made."""

    def __call__(self, piece: Piece) -> Arrays:
        return piece.run()

    def __contains__(self, piece: Piece) -> bool:
        return False


class _Beside:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, piece: Piece) -> Arrays:
        return one(piece, self._folder)

    def __contains__(self, piece: Piece) -> bool:
        return (self._folder / piece.file).is_file()


@contextmanager
def kept_beside(out: Path) -> Iterator[Keep]:
    """Within the block, pieces are kept in the folder ``OUT.unfinished``; gone when it succeeds.

    Whatever else lies there stays.
    """
    folder = out.with_name(f"{out.name}.unfinished")
    yield _Beside(folder)
    if folder.is_dir() and not folder.is_symlink():
        for path in folder.iterdir():
            if path.is_file() and (_OURS.fullmatch(path.name) or is_part(path.name)):
                path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # not empty
            folder.rmdir()


def network_facts(model: nn.Module, spec: ModelSpec) -> tuple[str, ...]:
    """What a measurement with this network depends on: its code, numbers, input, and ours."""
    volume = spec.input.mean_volume
    mean = "" if volume is None else hashlib.sha256(volume.tobytes()).hexdigest()
    versions = __version__, str(torch.__version__), np.__version__
    code = str(spec.code_sha256), repr(model), repr(spec.input), mean
    return (*versions, *code, fingerprint(model))


def packed(rows: Sequence[Any]) -> Arrays:
    """The arrays of dataclasses, one for each layer, under one name each."""
    return {
        f"{number}.{field.name}": value
        for number, row in enumerate(rows)
        for field in dataclasses.fields(row)
        if isinstance(value := getattr(row, field.name), np.ndarray)
    }


def unpacked(arrays: Mapping[str, np.ndarray], make: Callable[..., T], count: int = 1) -> list[T]:
    """What ``packed`` was given."""
    return [
        make(**{k.partition(".")[2]: v for k, v in arrays.items() if k.startswith(f"{number}.")})
        for number in range(count)
    ]


class Told:
    """Hands the progress of one piece after the other on as one count; kept ones do not count."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress, self._total, self._before = progress, 0, 0

    def expect(self, pieces: Sequence[Piece], keep: Keep, more: int = 0) -> None:
        """These are to come, and ``more`` that is never kept."""
        self._total = more + sum(piece.cost for piece in pieces if piece not in keep)

    def part(self, size: int) -> Progress:
        """What a piece reports to that runs now and makes up ``size`` of the whole."""
        before, self._before = self._before, self._before + size
        self._total = max(self._total, self._before)  # a kept one could not be read

        def progress(done: int, total: int, what: str) -> None:
            if self._progress is not None:
                self._progress(before + size * done // max(total, 1), self._total, what)

        return progress
