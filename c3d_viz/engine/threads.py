"""How many threads compute: one for each caller, where several work side by side."""

from __future__ import annotations

import threading

import cv2
import torch


class _OneThreadEach:
    """Within the block, torch and OpenCV compute with one thread per caller.

    Their thread counts belong to the process: the first of overlapping blocks sets them and the
    last one puts them back.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._before = (0, 0)

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._before = torch.get_num_threads(), cv2.getNumThreads()
                torch.set_num_threads(1)
                cv2.setNumThreads(1)
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                torch.set_num_threads(self._before[0])
                cv2.setNumThreads(self._before[1])


one_thread_each = _OneThreadEach()
