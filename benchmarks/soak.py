"""A thousand exports in one process: does its memory grow?

    python -m benchmarks.soak [--exports 1000] [--seconds 600]

Each export is a real one (compact, one layer, one unit, its pictures and its video). Resident
size is read after each; the first tenth is the warm-up, in which caches and the allocator settle.
With a limit of seconds it stops early and says after how many exports.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import c3d_viz as viz

from .memory import resident
from .work import needed_clip


def soak(exports: int, seconds: float, threads: int) -> dict[str, Any]:
    """Growth in MB after the warm-up, and the sizes at ten points."""
    import torch

    torch.set_num_threads(threads)
    clip = needed_clip()
    loaded = viz.load_model("compact")
    sizes: list[float] = []
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        for number in range(exports):
            viz.export_clip(
                clip,
                Path(folder) / "out",
                layers=["conv3b"],
                top=1,
                start=number % 200,
                overwrite=True,
                loaded=loaded,
            )
            sizes.append(resident())
            if time.perf_counter() - began > seconds:
                break
    done = len(sizes)
    warm = min(done - 1, max(1, exports // 10))
    return {
        "exports": done,
        "asked_for": exports,
        "warm_up": warm,
        "seconds": time.perf_counter() - began,
        "grown_mb": sizes[-1] - sizes[warm],
        "resident_mb": [round(sizes[i * (done - 1) // 10], 1) for i in range(11)],
    }


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--exports", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--limit-mb", type=float, default=50.0)
    options = parser.parse_args(arguments)
    found = soak(options.exports, options.seconds, options.threads)
    print(json.dumps(found, indent=1))
    return 0 if found["grown_mb"] <= options.limit_mb else 1


if __name__ == "__main__":
    sys.exit(main())
