"""Work that can be interrupted: named pieces, each kept in a file as soon as it is done."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .engine import one_thread_each
from .files import kept_if_filled, make_folder, write_npz
from .progress import Progress

Arrays = dict[str, np.ndarray]

_NAME = 200  # characters of a key that fit into a file's name


@dataclass(frozen=True)
class Piece:
    """One piece of work.

    Attributes:
        key: unique in a run, readable.
        what: for people, e.g. "trained: dog@22".
        cost: about how many back-projections it takes; progress counts in these.
        facts: everything the outcome depends on; a kept file is used only when they are equal.
        run: does it.
    """

    key: str
    what: str
    cost: int
    facts: tuple[object, ...]
    run: Callable[[], Arrays]

    @property
    def file(self) -> str:
        """Name of its file: key and a hash of the facts."""
        facts = json.dumps(self.facts, sort_keys=True, default=str)
        readable = re.sub(r"[^A-Za-z0-9@._-]+", "_", self.key)[:_NAME]
        return f"{readable}-{hashlib.sha256(facts.encode()).hexdigest()[:12]}.npz"


def do(
    pieces: Sequence[Piece],
    folder: Path,
    *,
    resume: bool,
    workers: int = 1,
    progress: Progress | None = None,
) -> dict[str, Arrays]:
    """Every piece's arrays by key; pieces whose file exists are read, not done again.

    Files appear whole or not at all. A file that cannot be read is done again. The seconds a
    piece took are kept with it as ``seconds``. With several workers each computes with one
    thread: small volumes gain more from two pieces at a time than from two threads a piece.
    """
    make_folder(folder)
    total = sum(piece.cost for piece in pieces)
    done = 0
    measured: dict[str, Arrays] = {}
    todo = []
    for piece in pieces:
        stored = _load(folder / piece.file) if resume else None
        if stored is None:
            todo.append(piece)
        else:
            measured[piece.key] = stored
            done += piece.cost

    with one_thread_each, ThreadPoolExecutor(max_workers=max(1, workers)) as pool:
        running = {pool.submit(_work, piece, folder): piece for piece in todo}
        try:
            if progress is not None and todo:
                progress(done, total, todo[0].what)
            for future in as_completed(running):
                piece = running[future]
                measured[piece.key] = future.result()
                done += piece.cost
                if progress is not None:
                    progress(done, total, piece.what)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return {piece.key: measured[piece.key] for piece in pieces}


def one(piece: Piece, folder: Path) -> Arrays:
    """A piece's arrays, read where its file exists and done here where not."""
    stored = _load(folder / piece.file)
    if stored is None:
        with kept_if_filled(folder):
            stored = _work(piece, folder)
    return stored


def _work(piece: Piece, folder: Path) -> Arrays:
    began = time.perf_counter()
    arrays = {**piece.run(), "seconds": np.array(time.perf_counter() - began)}
    write_npz(folder / piece.file, arrays)
    return arrays


def _load(path: Path) -> Arrays | None:
    try:
        # opened here, so that it is also closed when what is in it is no npz
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return {key: stored[key] for key in stored.files}
    except Exception:  # numpy and zlib raise whatever the bytes make them raise
        return None
