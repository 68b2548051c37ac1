"""How the cost grows: with units, with layers, with frames, with resolution. Data and plots.

The first two use full-size C3D. C3D fixes the clip's size, so frames and resolution are varied
with its convolution part alone (the same layers without the fully connected ones), for which the
engine is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import c3d_viz as viz
from c3d_viz.nets import CONV_LAYERS

from .peers import Peer
from .timing import Case, Spread, alternate
from .work import Work

UNITS = (1, 2, 4, 9, 16, 32)
FRAMES = (8, 16, 32, 48)
SIZES = (56, 112, 168, 224)
IMAGES = Path(__file__).parent.parent / "docs" / "images"


def seconds(run: Callable[[], object], synchronise: Callable[[], None], rounds: int = 3) -> Spread:
    """Median of a few runs after a warm-up."""
    run()
    return Spread.of(alternate({"it": Case(lambda _: run())}, rounds, synchronise)["it"])


def measure(work: Work, captum: Peer | None, synchronise: Callable[[], None]) -> dict[str, Any]:
    """All four curves as plain data; captum's line where it can be drawn from one unit's cost."""

    def time_units(model: nn.Module, x: Tensor, units: Sequence[viz.Unit]) -> float:
        return seconds(lambda: list(viz.attribute_many(model, x, units)), synchronise).median

    curves: dict[str, Any] = {"units": {}, "layers": {}, "frames": {}, "resolution": {}}
    trace = viz.trace(work.model, work.x, CONV_LAYERS)
    for layer in ("conv3b", "conv5b"):
        units = viz.top_units(trace, layer, max(UNITS))
        ours = {k: time_units(work.model, work.x, units[:k]) for k in UNITS}
        curves["units"][layer] = {"ours": ours}
        if captum is not None:
            one = seconds(lambda u=units: captum.run(work.model, work.x, u[:1]), synchronise, 2)
            curves["units"][layer]["captum"] = {k: k * one.median for k in UNITS}
    for layer in CONV_LAYERS:
        units = viz.top_units(trace, layer, 9)
        row = {"ours": time_units(work.model, work.x, units)}
        row["one unit"] = time_units(work.model, work.x, units[:1])
        if captum is not None:
            one = seconds(lambda u=units: captum.run(work.model, work.x, u[:1]), synchronise, 1)
            row["captum"] = 9 * one.median
        curves["layers"][layer] = row
    del trace
    convolutions = convolution_part(work.model)
    for name, values in (("frames", FRAMES), ("resolution", SIZES)):
        for layer in ("conv3b", "conv5b"):
            curves[name][layer] = {
                value: time_units(convolutions, x, centre_units(convolutions, x, layer))
                for value in values
                for x in [_resized(work.x, name, value)]
            }
    return curves


def convolution_part(model: nn.Module) -> nn.Sequential:
    """C3D up to conv5b's ReLU, with the paper's names; takes clips of any size."""
    part = nn.Sequential()
    for name, module in model.named_children():
        part.add_module(name, module)
        if name == "relu5b":
            break
    return part.eval()


def centre_units(model: nn.Module, x: Tensor, layer: str) -> list[viz.Unit]:
    """Nine channels in the middle of a layer: no border cuts their fields."""
    module = "relu" + layer.removeprefix("conv")
    shape = viz.trace(model, x, [module]).activations[module].shape
    at = tuple(n // 2 for n in shape[1:])
    return [viz.Unit(module, channel, at) for channel in range(9)]


def _resized(x: Tensor, what: str, value: int) -> Tensor:
    size = (value, 112, 112) if what == "frames" else (16, value, value)
    return torch.nn.functional.interpolate(x, size=size, mode="trilinear", align_corners=False)


def plot(curves: dict[str, Any], folder: Path = IMAGES) -> list[Path]:
    """Two figures (PNG and SVG): cost against units and layers; against frames and resolution."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    folder.mkdir(parents=True, exist_ok=True)
    blue, orange, grey = "#0072B2", "#D55E00", "#666666"  # told apart by colour-blind people
    plt.rcParams.update({"font.size": 10, "svg.fonttype": "none", "svg.hashsalt": "c3d_viz"})

    figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for layer, colour in (("conv3b", blue), ("conv5b", orange)):
        data = curves["units"][layer]
        for tool, style in (("ours", "-o"), ("captum", "--s")):
            if tool in data:
                x, y = zip(*((int(k), v) for k, v in data[tool].items()), strict=True)
                label = f"{'c3d_viz' if tool == 'ours' else tool}, {layer}"
                axes[0].plot(x, y, style, color=colour, label=label, markersize=4)
    axes[0].set(xlabel="units of one layer", ylabel="seconds", xscale="log", yscale="log")
    axes[0].set_xticks(UNITS, [str(k) for k in UNITS])
    axes[0].minorticks_off()
    axes[0].legend(frameon=False, loc="upper left")
    axes[0].set_title("Cost against units")
    layers = list(curves["layers"])
    places = range(len(layers))
    for offset, key, colour, label in (
        (-0.27, "captum", grey, "captum, 9 units"),
        (0.0, "ours", blue, "c3d_viz, 9 units"),
        (0.27, "one unit", orange, "c3d_viz, 1 unit"),
    ):
        values = [curves["layers"][layer].get(key) for layer in layers]
        if None not in values:
            axes[1].bar([p + offset for p in places], values, 0.27, color=colour, label=label)
    axes[1].set_xticks(list(places), layers, rotation=30)
    axes[1].set(ylabel="seconds", yscale="log")
    axes[1].set_title("Cost against layers")
    top = max(row.get("captum", row["ours"]) for row in curves["layers"].values())
    axes[1].set_ylim(top=top * 12)  # room for the legend
    axes[1].legend(frameon=False, loc="upper left", ncols=2)
    written = _save(figure, folder / "bench-units-layers")

    figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for axis, name, label in (
        (axes[0], "frames", "frames of 112 x 112"),
        (axes[1], "resolution", "height and width of 16 frames"),
    ):
        for layer, colour in (("conv3b", blue), ("conv5b", orange)):
            x, y = zip(*((int(k), v) for k, v in curves[name][layer].items()), strict=True)
            axis.plot(x, y, "-o", color=colour, label=f"9 units of {layer}", markersize=4)
        axis.set(xlabel=label, ylabel="seconds")
        axis.set_xticks(x)
        axis.set_ylim(bottom=0)
        axis.legend(frameon=False, loc="upper left")
        axis.set_title(f"Cost against {name}")
    written += _save(figure, folder / "bench-frames-resolution")
    return written


def _save(figure: Any, path: Path) -> list[Path]:
    import matplotlib.pyplot as plt

    for axis in figure.axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.25)
    files = [path.with_suffix(".png"), path.with_suffix(".svg")]
    figure.savefig(files[0], dpi=150)
    figure.savefig(files[1], metadata={"Date": None})
    plt.close(figure)
    return files
