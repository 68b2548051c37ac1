"""What was computed once: a cache shared by all sessions and bounded in bytes.

Keys say everything the value depends on (content hash of the clip, hash of the weights, window,
unit, method), so a hit can never belong to somebody else's clip.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import fields, is_dataclass

import numpy as np

Key = tuple[Hashable, ...]


def nbytes(value: object) -> int:
    """Bytes of the large parts of a value: arrays, tensors, bytes, and containers of them."""
    if isinstance(value, np.ndarray):
        return int(value.nbytes)
    if isinstance(value, bytes | str):
        return len(value)
    if isinstance(value, dict):
        return sum(nbytes(v) for v in value.values()) + 64
    if isinstance(value, list | tuple):
        return sum(nbytes(v) for v in value) + 64
    if is_dataclass(value) and not isinstance(value, type):
        return sum(nbytes(getattr(value, f.name)) for f in fields(value)) + 64
    if hasattr(value, "nbytes"):  # a tensor, seen from outside
        return int(value.nbytes)
    return 64


class ByteCache:
    """Least recently used first out, at most ``limit`` bytes, one computation per key.

    Two sessions that ask for the same key at the same moment share one computation. A value
    larger than the whole cache is handed out and not kept.
    """

    def __init__(self, limit: int, size: Callable[[object], int] = nbytes) -> None:
        self.limit = limit
        self._size = size
        self._kept: OrderedDict[Key, tuple[object, int]] = OrderedDict()
        self._running: dict[Key, Future[object]] = {}
        self._bytes = 0
        self._lock = threading.Lock()

    @property
    def used(self) -> int:
        """Bytes kept now."""
        return self._bytes

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, key: Key) -> bool:
        return key in self._kept

    def start(self, key: Key, make: Callable[[], object]) -> Future[object]:
        """A future of the value: done if it is kept, joined if it is being computed, else begun."""
        with self._lock:
            future: Future[object] = Future()
            if key in self._kept:
                self._kept.move_to_end(key)
                future.set_result(self._kept[key][0])
                return future
            if key in self._running:
                return self._running[key]
            self._running[key] = future
        threading.Thread(target=self._compute, args=(key, make, future), daemon=True).start()
        return future

    def get(self, key: Key, make: Callable[[], object]) -> object:
        """The value, computed if need be. Raises what ``make`` raises; failures are not kept."""
        return self.start(key, make).result()

    def drop(self, part: Hashable) -> None:
        """Forget every value whose key mentions ``part`` (a clip that was taken away)."""
        with self._lock:
            for key in [k for k in self._kept if _mentions(k, part)]:
                self._bytes -= self._kept.pop(key)[1]

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._kept.clear()
            self._bytes = 0

    def _compute(self, key: Key, make: Callable[[], object], future: Future[object]) -> None:
        try:
            value = make()
        except BaseException as error:
            with self._lock:
                self._running.pop(key, None)
            future.set_exception(error)
            return
        with self._lock:
            self._keep(key, value)
            self._running.pop(key, None)
        future.set_result(value)

    def _keep(self, key: Key, value: object) -> None:
        size = self._size(value)
        if size > self.limit:
            return
        self._kept[key] = (value, size)
        self._bytes += size
        while self._bytes > self.limit:
            _, (_, freed) = self._kept.popitem(last=False)
            self._bytes -= freed


def _mentions(key: Hashable, part: Hashable) -> bool:
    if key == part:
        return True
    return isinstance(key, tuple) and any(_mentions(k, part) for k in key)
