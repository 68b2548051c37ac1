"""Tasks over processes: results, errors, and a task that ends its process."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import torch

from c3d_viz.corpus.workers import Workers
from c3d_viz.errors import VizError


class Box:
    def __init__(self, base: int) -> None:
        self.base = base


def add(box: Box, number: int) -> tuple[int, int, int]:
    if number == 13:
        raise VizError("not this one")
    return box.base + number, os.getpid(), torch.get_num_threads()


def fall(box: Box, task: tuple[str, int]) -> int:
    """Ends its process as often as the file's name says."""
    path, number = task
    if number == 2 and (left := Path(path).stat().st_size):
        os.truncate(path, left - 1)
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_in_this_process() -> None:
    threads = torch.get_num_threads()
    with Workers(Box, (100,), 1) as workers:
        done = list(workers.run(add, [1, 13, 2]))
    assert [task for task, _ in done] == [1, 13, 2]
    assert (done[0][1], done[2][1]) == ((101, os.getpid(), 1), (102, os.getpid(), 1))
    assert str(done[1][1]) == "not this one"
    assert torch.get_num_threads() == threads
    with pytest.raises(VizError, match="jobs must be at least 1"):
        Workers(Box, (100,), 0)


@pytest.mark.slow
def test_in_others_one_of_which_falls(tmp_path: Path) -> None:
    with Workers(Box, (100,), 2) as workers:
        done = dict(workers.run(add, [1, 13, 2, 3]))
        assert str(done[13]) == "not this one"
        results = [done[1], done[2], done[3]]
        assert [result[0] for result in results] == [101, 102, 103]
        assert {result[1] for result in results} & {os.getpid()} == set()
        assert {result[2] for result in results} == {1}
        for falls, outcome in ((1, 2), (3, None)):
            file = tmp_path / str(falls)
            file.write_bytes(bytes(falls))
            tasks = [(str(file), number) for number in range(6)]
            done = dict(workers.run(fall, tasks))
            assert [done[task] for task in tasks if task[1] != 2] == [0, 1, 3, 4, 5]
            if outcome is None:
                assert "was ended from outside, twice" in str(done[tasks[2]])
            else:
                assert done[tasks[2]] == outcome
