"""Flags that belong to the whole process, held for as long as any thread needs them."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch


class HeldFlags:
    """Attributes of one object set to wanted values while at least one block is open.

    The first block to open keeps what was there, the last to close puts it back, in whatever order
    threads come and go.

    Args:
        flags: the object; its attributes are read and set.
        wanted: values by attribute.
    """

    def __init__(self, flags: Any, wanted: Mapping[str, object]) -> None:
        self._flags, self._wanted = flags, wanted
        self._lock = threading.Lock()
        self._open = 0
        self._before: dict[str, object] = {}

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the flags within the block."""
        with self._lock:
            if not self._open:
                self._before = {name: getattr(self._flags, name) for name in self._wanted}
                for name, value in self._wanted.items():
                    setattr(self._flags, name, value)
            self._open += 1
        try:
            yield
        finally:
            with self._lock:
                self._open -= 1
                if not self._open:
                    for name, value in self._before.items():
                        setattr(self._flags, name, value)


_CUDNN = HeldFlags(
    torch.backends.cudnn, {"deterministic": True, "benchmark": False, "allow_tf32": False}
)


def full_precision(device: torch.device) -> AbstractContextManager[None]:
    """Within the block, convolutions on a GPU keep float32 and give the same bits each time.

    cuDNN's defaults round to TF32 and may pick another kernel each time. The flags are the
    process's, so they are held for as short as possible, and for all threads that need them
    together. Nothing to do on a CPU.
    """
    return _CUDNN.held() if device.type == "cuda" else nullcontext()
