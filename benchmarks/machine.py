"""The machine: what it is, and the most arithmetic it can do, measured in the same run."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).parent.parent


def describe(device: str, threads: int) -> dict[str, object]:
    """CPU or accelerator model, cores, versions, commit. No host name."""
    facts: dict[str, object] = {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "threads": threads,
        "memory_gb": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9, 1),
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "device": device,
        "commit": _git("rev-parse", "--short", "HEAD"),
        "uncommitted_changes": bool(_git("status", "--porcelain", "--untracked-files=no")),
    }
    if device == "cuda":
        facts["accelerator"] = torch.cuda.get_device_name()
    return facts


def cpu_seconds(process: int) -> float:
    """Seconds of processor time of a process and of those of its own that have ended (Linux)."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def limits(device: str, seconds: float = 3.0) -> dict[str, float]:
    """The best float32 and bf16 matrix product, in GFLOP/s.

    The highest of several sizes, of ``torch.mm`` and, on the CPU, of oneDNN's product with its
    weights arranged beforehand (on some processors it is far ahead of the other library).
    """
    found = {}
    for name, dtype in (("float32", torch.float32), ("bf16", torch.bfloat16)):
        best = 0.0
        for size in (1024, 2048, 3072):
            for make in (_mm, _onednn):
                run = make(size, dtype, device)
                if run is not None:
                    best = max(best, 2 * size**3 / _best(run, device, seconds / 6) / 1e9)
        found[name] = best
    return found


def _mm(size: int, dtype: torch.dtype, device: str) -> Callable[[], object]:
    a = torch.randn(size, size, device=device).to(dtype)
    b = torch.randn(size, size, device=device).to(dtype)
    out = torch.empty_like(a)
    return lambda: torch.mm(a, b, out=out)


def _onednn(size: int, dtype: torch.dtype, device: str) -> Callable[[], object] | None:
    if device != "cpu":
        return None
    a = torch.randn(size, size).to(dtype)
    try:
        weight = torch.ops.mkldnn._reorder_linear_weight(
            torch.randn(size, size).to(dtype).to_mkldnn(), size
        )
        run = lambda: torch.ops.mkldnn._linear_pointwise(a, weight, None, "none", [], "")  # noqa: E731
        run()
    except (RuntimeError, AttributeError):
        return None
    return run


def _best(run: Callable[[], object], device: str, seconds: float) -> float:
    run()
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        run()
        if device == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    return best


def _cpu_model() -> str:
    """The processor and its widest vector unit, which says more than a cloud's model name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    facts = dict(line.split(":", 1) for line in lines if ":" in line)
    facts = {key.strip(): value.strip() for key, value in facts.items()}
    flags = facts.get("flags", "").split()
    wide = [name for name in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if name in flags]
    family = f"family {facts.get('cpu family', '?')} model {facts.get('model', '?')}"
    return f"{facts.get('model name', platform.machine())} ({family}; {', '.join(wide)})"


def alone(module: str, *arguments: str, threads: int) -> dict[str, Any]:
    """What ``python -m benchmarks.<module>`` prints as JSON on its last line: a fresh process."""
    command = [sys.executable, "-m", f"benchmarks.{module}", *arguments, "--threads", str(threads)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    found: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    return found


def _git(*command: str) -> str:
    try:
        answer = subprocess.run(
            ["git", *command], capture_output=True, text=True, check=True, cwd=ROOT
        )
        return answer.stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
