"""Work that can be interrupted: named pieces, each kept in a file as soon as it is done."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..types import Arrays

Progress = Callable[[int, int, str], None]


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
        readable = re.sub(r"[^A-Za-z0-9@._-]+", "_", self.key)
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
    folder.mkdir(parents=True, exist_ok=True)
    total = sum(piece.cost for piece in pieces)
    done = 0
    found: dict[str, Arrays] = {}
    todo = []
    for piece in pieces:
        kept = _load(folder / piece.file) if resume else None
        if kept is None:
            todo.append(piece)
        else:
            found[piece.key] = kept
            done += piece.cost

    def work(piece: Piece) -> Arrays:
        began = time.perf_counter()
        arrays = {**piece.run(), "seconds": np.array(time.perf_counter() - began)}
        _save(folder / piece.file, arrays)
        return arrays

    with one_thread_each(), ThreadPoolExecutor(max_workers=max(1, workers)) as pool:
        running = {pool.submit(work, piece): piece for piece in todo}
        try:
            if progress is not None and todo:
                progress(done, total, todo[0].what)
            for future in as_completed(running):
                piece = running[future]
                found[piece.key] = future.result()
                done += piece.cost
                if progress is not None:
                    progress(done, total, piece.what)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return {piece.key: found[piece.key] for piece in pieces}


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Within the block, torch and OpenCV compute with one thread per caller."""
    import cv2
    import torch

    before = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])


def _load(path: Path) -> Arrays | None:
    try:
        # opened here, so that it is also closed when what is in it is no npz
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return {key: stored[key] for key in stored.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, KeyError):
        return None


def _save(path: Path, arrays: Arrays) -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    write_bytes(path, buffer.getvalue())


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    write_bytes(path, text.encode())


def as_json(value: object) -> str:
    """JSON with null for what is undefined; arrays as lists, numbers with six digits."""
    return json.dumps(_plain(value), indent=1, ensure_ascii=False, allow_nan=False)


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float | np.floating):
        return float(f"{value:.6g}") if np.isfinite(value) else None
    if isinstance(value, np.integer | np.bool_):
        return value.item()
    return value
