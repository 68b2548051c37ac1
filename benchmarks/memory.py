"""Peak memory of one tool on one piece of work, in a process of its own.

    python -m benchmarks.memory c3d_viz all_conv

Three sizes are read: resident when everything is imported, resident when the model and the clip
are loaded, and the highest resident size while the maps are made (Linux's VmHWM, reset just
before, so that what loading took for a moment does not count). ``work_mb`` is the highest less
the loaded size: what the tool itself needs. ``process_mb`` is the highest less the imports: it
holds the model too (320 MB, the same for all). The maps, 2.4 MB each, are in both.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

from . import machine
from .timing import Spread

WORKS = {"all_conv": None, "conv3b": "conv3b", "conv5b": "conv5b"}
MIDDLE = {  # of other networks' layers: model/layer and the cell in the middle
    "r3d_18/layer1": (8, 28, 28),
    "r3d_18/layer2": (4, 14, 14),
    "r3d_18/layer4": (1, 3, 3),
    "r2plus1d_18/layer2": (4, 14, 14),
}


def measure(tools: list[str], work: str, rounds: int, threads: int) -> dict[str, Any]:
    """Peak MB of each tool, alternating processes, and their ratios to ours."""
    found: dict[str, list[dict[str, float]]] = {tool: [] for tool in tools}
    for _ in range(rounds):
        for tool in tools:
            found[tool].append(machine.alone("memory", tool, work, threads=threads))
    result: dict[str, Any] = {"work": work, "rounds": rounds, "tools": {}}
    for tool, values in found.items():
        result["tools"][tool] = {
            name: statistics.median(value[name] for value in values) for name in values[0]
        }
    first = found[tools[0]]
    for tool in tools[1:]:
        for name in ("work_mb", "process_mb"):
            shares = [a[name] / b[name] for a, b in zip(first, found[tool], strict=True)]
            result["tools"][tool]["ours_as_share_of_" + name] = vars(Spread.of(shares))
    return result


def _run(tool: str, work_name: str, threads: int) -> None:
    import torch

    import c3d_viz as viz
    import c3d_viz.engine
    import c3d_viz.methods

    from . import floor, peers, work
    from .compare import ours

    torch.set_num_threads(threads)
    found, _ = peers.available()
    baseline = resident()
    name, _, layer = work_name.rpartition("/")
    model, spec = viz.load_model(name or "c3d", "random")
    x, clip = work.real_clip(spec.input)
    # the middle of the volume; one unit of a layer is enough, peaks do not add up
    if name:
        places = [viz.Unit(layer, 0, MIDDLE[work_name])]
    else:
        layers = viz.LAYERS[:8] if WORKS[work_name] is None else (layer,)
        places = [floor.centre(model, name) for name in layers]
    units = [viz.Unit(unit.layer, channel, unit.at) for unit in places for channel in (0, 1)]
    loaded = resident()
    Path("/proc/self/clear_refs").write_text("5")  # the highest size starts anew
    task = work.Work(model, x, clip, {})
    if tool == "c3d_viz":
        maps = ours(task, units)
    elif tool == "c3d_viz bf16":
        maps = ours(task, units, "bf16")
    else:
        maps = found[tool].run(model, x, units)
    assert len(maps) == len(units)
    highest = peak()
    found_mb = {
        "peak_mb": highest,
        "work_mb": highest - loaded,
        "process_mb": highest - baseline,
        "loaded_mb": loaded - baseline,
    }
    print(json.dumps(found_mb))


def resident(process: int | str = "self") -> float:
    """Resident size of this process, or that of a number, now, in MB (Linux)."""
    return _status("VmRSS", process)


def peak() -> float:
    """Its highest resident size since the start, or since it was reset, in MB (Linux)."""
    return _status("VmHWM")


def _status(key: str, process: int | str = "self") -> float:
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"/proc/self/status has no {key}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tool")
    parser.add_argument("work", choices=[*WORKS, *MIDDLE])
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    _run(options.tool, options.work, options.threads)
