"""Peak memory of one tool on one piece of work, in a process of its own.

    python -m benchmarks.memory c3d_viz all_conv

The figure is the process's highest resident size (``ru_maxrss``) less its size when everything is
imported and nothing is loaded. So it holds the model (320 MB for full-size C3D, the same for
all), the clip, and whatever the tool makes; the units' positions are given, as to a user who
chose them. Memory the process has given back in between does not lower it.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from .timing import Spread

WORKS = {"all_conv": None, "conv3b": "conv3b", "conv5b": "conv5b"}


def measure(tools: list[str], work: str, rounds: int, threads: int) -> dict[str, Any]:
    """Peak MB of each tool, alternating processes, and their ratios to ours."""
    found: dict[str, list[dict[str, float]]] = {tool: [] for tool in tools}
    for _ in range(rounds):
        for tool in tools:
            command = [sys.executable, "-m", "benchmarks.memory", tool, work]
            answer = subprocess.run(
                [*command, "--threads", str(threads)],
                capture_output=True,
                text=True,
                check=True,
                cwd=Path(__file__).parent.parent,
            )
            found[tool].append(json.loads(answer.stdout.splitlines()[-1]))
    result: dict[str, Any] = {"work": work, "rounds": rounds, "tools": {}}
    for tool, values in found.items():
        result["tools"][tool] = {
            name: statistics.median(value[name] for value in values) for name in values[0]
        }
    first = found[tools[0]]
    for tool in tools[1:]:
        shares = [a["added_mb"] / b["added_mb"] for a, b in zip(first, found[tool], strict=True)]
        result["tools"][tool]["ours_as_share"] = vars(Spread.of(shares))
    return result


def _run(tool: str, work_name: str, threads: int) -> None:
    import torch

    import c3d_viz as viz
    import c3d_viz.chain
    import c3d_viz.methods

    from . import peers, work
    from .compare import ours

    torch.set_num_threads(threads)
    found, _ = peers.available()
    baseline = _peak()
    model, spec = viz.load_model("c3d")
    x, clip = work.real_clip(spec.input)
    layer = WORKS[work_name]
    layers = viz.LAYERS[:8] if layer is None else (layer,)
    # the middle of the volume; one unit of a layer is enough, peaks do not add up
    units = []
    for name in layers:
        t, h, w = _grid(name)
        units += [viz.Unit(name, channel, (t // 2, h // 2, w // 2)) for channel in (0, 1)]
    loaded = _peak()
    task = work.Work(model, x, clip, {})
    if tool == "c3d_viz":
        maps = ours(task, units)
    elif tool == "c3d_viz bf16":
        maps = ours(task, units, "bf16")
    else:
        maps = found[tool].run(model, x, units)
    assert len(maps) == len(units)
    print(json.dumps({"baseline_mb": baseline, "loaded_mb": loaded - baseline,
                      "added_mb": _peak() - baseline, "peak_mb": _peak()}))  # fmt: skip


def _grid(layer: str) -> tuple[int, int, int]:
    group = int(layer[4])
    return {1: (16, 112, 112), 2: (16, 56, 56), 3: (8, 28, 28), 4: (4, 14, 14), 5: (2, 7, 7)}[group]


def _peak() -> float:
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size / (1 << 20) if sys.platform == "darwin" else size / 1024


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tool")
    parser.add_argument("work", choices=WORKS)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    _run(options.tool, options.work, options.threads)
