"""What the server's process does with memory that it no longer needs: glibc keeps it otherwise."""

from __future__ import annotations

import contextlib
import ctypes
import gc

M_ARENA_MAX = -8  # glibc's malloc.h


def give_back() -> None:
    """Hand freed memory back to the system."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def share() -> None:
    """Have threads share what they free: every answer has a thread of its own, and glibc would keep
    a heap for each of sixteen of them, a third more memory at the peak."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 2)
