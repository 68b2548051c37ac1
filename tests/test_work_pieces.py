"""Work is kept, resumed and written as JSON."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from c3d_viz.errors import ExportError
from c3d_viz.finding.show.report import plain
from c3d_viz.work import Piece, do, one_thread_each


def test_work_is_kept_and_resumed(tmp_path: Path) -> None:
    ran: list[str] = []
    lock = threading.Lock()

    def piece(key: str, fact: int = 0, fails: bool = False) -> Piece:
        def run() -> dict[str, np.ndarray]:
            if fails:
                raise KeyboardInterrupt
            with lock:
                ran.append(key)
            return {"x": np.array([len(key)])}

        return Piece(key, key, 2, (fact,), run)

    told: list[tuple[int, int]] = []
    with pytest.raises(KeyboardInterrupt):
        do([piece("a"), piece("b/c"), piece("d", fails=True)], tmp_path, resume=True)
    assert sorted(ran) == ["a", "b/c"]
    found = do(
        [piece("a"), piece("b/c"), piece("d")], tmp_path, resume=True, workers=2,
        progress=lambda done, total, what: told.append((done, total)),
    )  # fmt: skip
    assert sorted(ran) == ["a", "b/c", "d"]  # two were kept
    assert list(found) == ["a", "b/c", "d"]
    assert found["b/c"]["x"].tolist() == [3]
    assert told[0] == (4, 6)
    assert told[-1] == (6, 6)
    do([piece("a", fact=1)], tmp_path, resume=True)  # other facts: done again
    assert ran.count("a") == 2
    kept = next(tmp_path.glob("d-*.npz"))
    kept.write_bytes(kept.read_bytes()[:40])  # cut short
    assert do([piece("d")], tmp_path, resume=True)["d"]["x"].tolist() == [1]
    do([piece("d")], tmp_path, resume=False)
    assert ran.count("d") == 3
    assert not list(tmp_path.glob("*.part"))
    assert do([piece("k" * 400)], tmp_path, resume=True)["k" * 400]["x"].tolist() == [400]
    with pytest.raises(ExportError, match="cannot write"):  # a file is in the way of the folder
        do([piece("a")], kept, resume=True)


def test_json_says_null_for_undefined() -> None:
    got = plain({"a": np.array([1.0, np.nan]), "b": np.float32(1 / 3), "c": (np.int64(2), True)})
    assert json.loads(json.dumps(got)) == {"a": [1.0, None], "b": 0.333333, "c": [2, True]}


def test_overlapping_runs_leave_the_thread_counts_as_they_were() -> None:
    before = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(2)
    try:
        with one_thread_each:
            inner = threading.Thread(target=one_thread_each.__enter__)
            inner.start()
            inner.join()
            assert (torch.get_num_threads(), cv2.getNumThreads()) == (1, 1)
        assert torch.get_num_threads() == 1  # the other run goes on
        one_thread_each.__exit__()
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before[0])
    assert (torch.get_num_threads(), cv2.getNumThreads()) == before
