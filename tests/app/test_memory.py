"""Threads leave no heap of their own behind, and sleep between two computations."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app import memory, sessions

HEAPS = """
import ctypes, threading
from app import memory
if {shared}:
    memory.share()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = (
    ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
)
together = threading.Barrier(6)
def use():
    held = libc.malloc(50_000)
    together.wait()  # six at once
    libc.free(held)
threads = [threading.Thread(target=use) for _ in range(6)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
libc.fopen.restype, libc.fclose.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
out = libc.fopen(b"{out}", b"w")
libc.malloc_info(0, ctypes.c_void_p(out))
libc.fclose(out)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_threads_share_their_heaps(tmp_path: Path) -> None:
    counts = []
    for shared in (True, False):
        out = tmp_path / f"{shared}.xml"
        script = HEAPS.format(shared=shared, out=out)
        root = Path(__file__).resolve().parents[2]
        subprocess.run([sys.executable, "-c", script], check=True, cwd=root, timeout=60)
        counts.append(out.read_text().count("<heap "))
    if counts[1] < 3:
        pytest.skip("this allocator gives threads no heaps of their own")
    assert counts[0] <= 2 < counts[1]


def test_the_collector_passes_over_what_is_loaded() -> None:
    script = (
        "import gc, c3d_viz, torch\n"
        "from app import memory\n"
        "gc.collect(); before = len(gc.get_objects())\n"
        "memory.pass_over_loaded()\n"
        "held = []; held.append(held)\n"
        "print(len(gc.get_objects()) < before / 10, gc.get_freeze_count() > before / 2)\n"
        "frozen = gc.get_freeze_count(); memory.pass_over_loaded()\n"
        "print(gc.get_freeze_count() == frozen); del held; print(gc.collect() > 0)\n"
    )
    root = Path(__file__).resolve().parents[2]
    told = subprocess.run([sys.executable, "-c", script], cwd=root, timeout=60, capture_output=True)
    assert told.stdout.split() == [b"True"] * 4


def test_the_server_has_them_share(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(memory, "share", lambda: told.append("shared"))
    sessions.Sessions()
    assert told == ["shared"]


@pytest.mark.parametrize("given", [None, "ACTIVE"])
def test_threads_are_to_sleep_before_pytorch_is_loaded(given: str | None) -> None:
    script = """
import os, runpy, sys
class Look:
    def find_spec(self, name, *_):
        if name == "torch":
            print("loads with", os.environ["OMP_WAIT_POLICY"], flush=True)
            os._exit(0)
sys.meta_path.insert(0, Look())
runpy.run_path("app/main.py", run_name="__main__")
"""
    environment = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"}
    environment |= {} if given is None else {"OMP_WAIT_POLICY": given}
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=Path(__file__).parents[2],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == f"loads with {given or 'PASSIVE'}"
