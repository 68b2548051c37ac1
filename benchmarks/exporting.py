"""Where the time of ``export --layer all`` goes, and how much memory it takes.

    python -m benchmarks.exporting c3d

One export in a fresh process: wall time, the export's own clock by kind of work (kinds that other
threads do run beside the back-projection and overlap), and the seconds spent inside convolutions
and matrix products, counted at the dispatcher of the computing thread. What is left of the wall
time is what everything else costs. ``cpu_seconds`` is the processor time of all threads, loading
included: the figure to trust on a machine that has other work.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

LIMITS_MB = {"c3d": 2500.0, "compact": 900.0}


def _run(model: str, threads: int) -> dict[str, Any]:
    import torch

    import c3d_viz as viz

    from .counting import Counter
    from .memory import peak
    from .work import needed_clip

    torch.set_num_threads(threads)
    clip = needed_clip()
    timings: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        start, worked = time.perf_counter(), time.process_time()
        with Counter() as counter:
            viz.export_clip(clip, out, model=model, layers="all", start=40, timings=timings)
        wall, worked = time.perf_counter() - start, time.process_time() - worked
        manifest = json.loads((out / "manifest.json").read_text())
        sizes = [file.stat().st_size for file in out.rglob("*") if file.is_file()]
    loading = timings.get("load the network", 0.0)
    wall -= loading
    return {
        "model": model,
        "weights": manifest["model"]["weights"],
        "maps": _maps(manifest),
        "files": len(sizes),
        "megabytes": sum(sizes) / 1e6,
        "wall_seconds": wall,
        "cpu_seconds": worked,
        "loading_seconds": loading,
        "arithmetic_seconds": counter.seconds,
        "everything_else_share": 1 - counter.seconds / wall,
        "kinds": {kind: seconds for kind, seconds in timings.items() if seconds >= 0.001},
        "peak_mb": peak(),
        "targets": {"everything_else_share": 0.25, "peak_mb": LIMITS_MB[model]},
    }


def _maps(manifest: dict[str, Any]) -> int:
    methods = len(manifest["parameters"]["methods"])
    layers = (layer for window in manifest["windows"] for layer in window["layers"])
    return sum(len(layer["units"]) * methods for layer in layers)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", choices=LIMITS_MB)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    print(json.dumps(_run(options.model, options.threads)))
