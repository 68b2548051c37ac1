"""What the server's process does with memory: what it no longer needs, and what it always will."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import gc
import importlib

M_ARENA_MAX = -8  # glibc's malloc.h


def give_back() -> None:
    """Hand freed memory back to the system: glibc keeps it otherwise."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def share() -> None:
    """Have threads share what they free: every answer has a thread of its own, and glibc would keep
    a heap for each of sixteen of them, a third more memory at the peak."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 2)


@functools.cache
def pass_over_loaded() -> None:
    """Once: have Python's collector leave alone what has been loaded by now.

    Streamlit collects at the end of every run, also before it draws a fragment that a callback
    asks for, and PyTorch's modules are so many objects that this took 0.15 s each time.
    """
    for name in ("pandas", "matplotlib.colors"):  # which the first page loads
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
