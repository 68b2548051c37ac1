"""The first layer's kernels as small films: pictures, what each answers to, and a table."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import io
import math
import os
import threading
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ..engine import eval_view, forward, undisturbed
from ..errors import LayerError, VizError
from ..files import write_json, write_npz, write_text
from ..nets import InputSpec, nearest, unwrapped
from ..progress import Progress
from ..render import write_image, write_video
from ..weights import NetworkChoice
from .folder import check_new, result_folder
from .sheet import kernel_frames, kernel_sheet
from .spectrum import MOVING, STATIC, KernelReading, read_kernel

Floats = npt.NDArray[np.float32]
FPS = 3.0  # of the film: a kernel of three frames is seen once a second
_MOST = 4096  # kernels
_LOOKED_AT = 4096  # values of what a layer is given


@dataclass(frozen=True)
class KernelSet:
    """Kernels of a convolution over the pixels.

    Attributes:
        layer: the module's name.
        values: (N, C, T, H, W) float32, output per grey level (0-255) of a pixel, colours in the
            order R, G, B; a dilated kernel has its zeros in.
        readings: one for each kernel.
    """

    layer: str
    values: Floats
    readings: tuple[KernelReading, ...]


def first_kernels(
    model: nn.Module, spec: InputSpec, layer: str | None = None, progress: Progress | None = None
) -> KernelSet:
    """The kernels of the first 3D convolution, or of ``layer``, with what each answers to.

    Args:
        model: any network; it looks at a clip of noise once, which shows what each convolution is
            given. spec: what it takes as input; turns weights into effects of grey levels.
        layer: a ``Conv3d`` over the pixels, as in ``dict(model.named_modules())``; None takes the
            first that is called.

    Raises:
        LayerError: there is none, or it does not look at the pixels.
        VizError: the weights hold NaN.
    """
    name, convolution = _convolution(model, spec, layer)
    weight = _whole(convolution.weight.detach().float().cpu().numpy(), convolution.groups)
    if not np.isfinite(weight).all():
        raise VizError(f"the weights of {name} hold NaN or infinite values; check the checkpoint")
    std = 1.0 if spec.std is None else np.reshape(spec.std, (1, -1, 1, 1, 1))
    weight = weight * spec.scale / std
    if spec.channel_order == "BGR":
        weight = weight[:, ::-1]
    values = _spread(weight, tuple(int(d) for d in convolution.dilation)).astype(np.float32)
    readings = []
    for channel, kernel in enumerate(values):
        readings.append(read_kernel(kernel, channel))
        if progress is not None:
            progress(channel + 1, len(values), f"kernel {channel}")
    return KernelSet(name, values, tuple(readings))


def write_kernels(
    network: NetworkChoice,
    out: str | os.PathLike[str],
    *,
    layer: str | None = None,
    progress: Progress | None = None,
) -> Path:
    """Write the kernels of a network to the new folder ``out``.

    ``kernels.png`` a sheet, ``kernels.gif`` the same in motion, ``kernels.csv`` and
    ``kernels.json`` what each answers to, ``kernels.npz`` the values, and ``manifest.json``.

    Returns:
        The folder.

    Raises:
        ExportError: ``out`` is in the way.
        LayerError, WeightsError: as ``first_kernels`` and ``load_model``.
    """
    folder = check_new(out)
    model, spec = network.load()
    kernels = first_kernels(model, spec.input, layer, progress)
    title = f"{kernels.layer}: {len(kernels.values)} kernels in motion"
    words = ["units", "kernels", *(["--layer", layer] if layer else [])]
    parameters = {"layer": kernels.layer, "moving_from": MOVING, "static_below": STATIC}
    with result_folder(folder, words, network, spec, parameters) as (place, manifest):
        rows = [dataclasses.asdict(reading) for reading in kernels.readings]
        manifest["summary"] = summary(kernels)
        write_image(
            place / "kernels.png",
            kernel_sheet(kernels.values, kernels.readings, title, spec.weights),
        )
        frames = kernel_frames(kernels.values, kernels.readings, title, spec.weights)
        write_video(place / "kernels.gif", frames, FPS)
        write_json(place / "kernels.json", {"layer": kernels.layer, "kernels": _plain(rows)})
        write_text(place / "kernels.csv", _table(rows))
        write_npz(place / "kernels.npz", {"kernels": kernels.values})
    return folder


def summary(kernels: KernelSet) -> dict[str, Any]:
    """How many kernels are of each kind, and medians of what is read off."""
    kinds = [reading.kind for reading in kernels.readings]
    alive = [reading for reading in kernels.readings if reading.kind != "empty"]
    medians = {
        name: float(np.median([getattr(reading, name) for reading in alive])) if alive else None
        for name in ("direction_index", "dynamic", "opponency", "spatial_frequency")
    }
    return {"kinds": {kind: kinds.count(kind) for kind in sorted(set(kinds))}, "medians": medians}


def _convolution(model: nn.Module, spec: InputSpec, layer: str | None) -> tuple[str, nn.Conv3d]:
    known = {
        name: module
        for name, module in unwrapped(model).named_modules()
        if isinstance(module, nn.Conv3d)
    }
    if not known:
        raise LayerError(f"{type(model).__name__} has no Conv3d, so no kernels that are films")
    if layer is not None and layer not in known:
        raise LayerError(f"no Conv3d {layer!r}; this model has {nearest(layer, list(known))}")
    if layer is not None and known[layer].in_channels != spec.channels:  # told without a pass
        raise LayerError(
            f"{layer} does not look at the pixels: it takes {known[layer].in_channels} channels, "
            f"the clip has {spec.channels}; leave --layer out, or name one that takes the clip"
        )
    called = _called(model, spec, list(known))
    over = [name for name, pixels in called.items() if pixels]
    name = layer if layer is not None else next(iter(called), "")
    if name not in over:
        raise LayerError(
            f"{name or 'no Conv3d'} does not look at the pixels: "
            f"{'what it is given is not the clip' if name in called else 'not called for a clip'}; "
            f"these look at them: {', '.join(over) or 'none'}"
        )
    module = known[name]
    if module.out_channels > _MOST:
        raise LayerError(f"{name} has {module.out_channels} kernels; at most {_MOST} are read")
    return name, module


def _called(model: nn.Module, spec: InputSpec, names: list[str]) -> dict[str, bool]:
    """The convolutions that a clip reaches, in their order, and whether they look at its pixels:
    the first does (what is done to a clip in front of it is taken as part of the input), and every
    other that is given values of the clip alone, moved about or padded with zeros."""
    example = next(model.parameters())
    noise = torch.rand(1, *spec.shape, generator=torch.Generator().manual_seed(0))
    x = noise.to(example.device, example.dtype)
    pixels, owner = torch.unique(torch.cat([x.flatten(), x.new_zeros(1)])), threading.get_ident()
    called: dict[str, bool] = {}

    def look(name: str, module: nn.Conv3d, given: tuple[Tensor, ...]) -> None:
        if threading.get_ident() == owner:
            some = given[0].flatten()[:: max(1, given[0].numel() // _LOOKED_AT)]
            clip = module.in_channels == spec.channels and bool(torch.isin(some, pixels).all())
            called.setdefault(name, clip or not called)

    view = eval_view(model)
    there = dict(view.named_modules())
    with contextlib.ExitStack() as stack, undisturbed(x.device), torch.no_grad():
        for name in names:
            hook = there[name].register_forward_pre_hook(partial(look, name))
            stack.callback(hook.remove)
        forward(view, x.clone())
    return called


def _whole(weight: npt.NDArray[np.float32], groups: int) -> npt.NDArray[np.float64]:
    """Kernels over all channels: those of other groups are zeros."""
    count, own = weight.shape[:2]
    full = np.zeros((count, own * groups, *weight.shape[2:]))
    for group, rows in enumerate(np.split(np.arange(count), groups)):
        full[rows, own * group : own * (group + 1)] = weight[rows]
    return full


def _spread(weight: npt.NDArray[np.float64], dilation: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """A dilated kernel with its zeros in."""
    sizes = [(n - 1) * d + 1 for n, d in zip(weight.shape[2:], dilation, strict=True)]
    full = np.zeros((*weight.shape[:2], *sizes))
    t, y, x = dilation
    full[:, :, ::t, ::y, ::x] = weight
    return full


def _plain(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """JSON has no NaN: null."""
    return [
        {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in row.items()}
        for row in rows
    ]


def _table(rows: list[dict[str, Any]]) -> str:
    buffer = io.StringIO()
    colours = len(rows[0]["colour"])
    names = [name for name in rows[0] if name != "colour"]
    heads = ["red", "green", "blue"] if colours == 3 else ["grey"]
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([*names, *heads])
    for row in rows:
        cells = [row[name] for name in names] + list(row["colour"])
        writer.writerow([f"{v:z.6g}" if isinstance(v, float) else v for v in cells])
    return buffer.getvalue()
