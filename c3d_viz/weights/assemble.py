"""From a file's tensors to the model's: sizes from the shapes, a strict check, the transposes."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..errors import ShapeError, WeightsError, printable
from ..nets import C3D, ModelSpec, Pool5
from . import own
from .catalogue import MODELS
from .keymaps import FORMATS, Fc6Order, Format, Layout, recognise, tensorflow_fc6_order
from .raw import Raw

_POOL5_CELLS = (4, 4)  # height, width of pool5; its time is 1
# 8-bit floats go with a scale that is stored elsewhere: read as they are they would be wrong.
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_LISTED = 6  # names listed in an error before "and N more"


@dataclass(frozen=True)
class Resolution:
    """A checkpoint matched against a format.

    Attributes:
        format: the recognised format.
        tensors: model parameter -> tensor, still in the file's layout.
        sources: model parameter -> its name in the file.
        width, fc, num_classes, temporal_depths: sizes of the network, from the shapes; 0 classes
            when the file has no classifier.
        fc6_order: order of fc6's rows.
        mapped: the tensors still look into the file.
        problems: what keeps the file from loading, one line each; empty when it loads.
    """

    format: Format
    tensors: dict[str, Tensor]
    sources: dict[str, str]
    width: int
    fc: int
    num_classes: int
    temporal_depths: tuple[int, ...]
    fc6_order: Fc6Order
    mapped: bool
    problems: tuple[str, ...]


def resolve(raw: Raw, path: Path, fc6_order: Fc6Order | None = None) -> Resolution:
    """Match a file against the formats and check every tensor's name, shape and type.

    Raises:
        WeightsError: the names fit no known format, or the sizes cannot even be read off.
    """
    found = recognise(raw)
    if found is None:
        raise WeightsError(
            f"{path}: its {len(raw.tensors)} tensors ({listed(raw.tensors, 4)}) fit no known C3D "
            f"checkpoint ({raw.container}); known are {', '.join(f.key for f in FORMATS)}"
        )
    form, names = found
    headless = form.headless and not any(form.names.get(f"fc8.{k}") in names for k in _KINDS)
    wanted = {
        ours: theirs
        for ours, theirs in form.names.items()
        if not (headless and ours.startswith("fc8."))
    }
    problems: list[str] = []
    if missing := [theirs for theirs in wanted.values() if theirs not in names]:
        problems.append(f"missing: {listed(missing)}")
    known = set(wanted.values())
    if unexpected := [names[name] for name in names if name not in known]:
        problems.append(f"unexpected: {listed(unexpected)}")
    if len(names) != len(raw.tensors):
        problems.append("two tensors have the same name but for their prefix")
    tensors = {o: raw.tensors[names[t]] for o, t in wanted.items() if t in names}
    if types := [f"{wanted[o]} {t.dtype}" for o, t in tensors.items() if t.dtype not in FLOATS]:
        problems.append(f"not floating point numbers of 16 to 64 bits: {listed(types)}")
    width, fc, classes, depths = _sizes(tensors, form.layout)
    problems += _shape_problems(tensors, wanted, form.layout, width, fc, classes, depths)
    if not problems and (bad := [wanted[o] for o, t in tensors.items() if not finite(t)]):
        problems.append(f"NaN or infinite numbers in: {listed(bad)}")
    order = form.fc6_order
    if form.key == "tensorflow":
        order = tensorflow_fc6_order(classes)
    return Resolution(
        format=form,
        tensors=tensors,
        sources={ours: names[wanted[ours]] for ours in tensors},
        width=width,
        fc=fc,
        num_classes=classes,
        temporal_depths=depths,
        fc6_order=fc6_order or order,
        mapped=raw.mapped,
        problems=tuple(problems),
    )


def spec_of(
    found: Resolution, raw: Raw, path: Path, name: str = "c3d", *, sha256: str | None = None
) -> ModelSpec:
    """What the weights are and expect, before any override.

    Args:
        name: model the user asked for; the own format's metadata and foreign formats overrule it.

    Raises:
        WeightsError: metadata of the own format that cannot be used.
    """
    form = found.format
    classes = None
    spec_input, pool5 = form.input, form.pool5
    line = printable(f"{path.name}: {form.title}, {found.num_classes or 'no'} classes")
    if form.key == "c3d_viz":
        stored = raw.metadata.get("name", name)
        name = stored if stored in MODELS else name
        classes = own.metadata_classes(raw.metadata, path)
        if classes is not None and len(classes) != found.num_classes:
            raise WeightsError(
                f"{path}: metadata name {len(classes)} classes, fc8 has {found.num_classes}"
            )
        spec_input = own.metadata_input(raw.metadata, path, MODELS[name].input)
        pool5 = own.metadata_pool5(raw.metadata, path)
        line = printable(" ".join(raw.metadata.get("description", "").split())[:120]) or line
    else:
        name = "c3d"
    return ModelSpec(
        name=name,
        weights=line,
        trained=True,
        input=spec_input,
        num_classes=found.num_classes,
        classes=classes,
        pool5=pool5,
        source=str(path),
        sha256=sha256,
        format=form.key,
    )


def build(found: Resolution, pool5: Pool5, path: Path) -> C3D:
    """The network with the file's weights, float32, in memory of its own.

    Without a classifier in the file, fc8 has no outputs: logits are (N, 0).

    Raises:
        WeightsError: the resolution has problems; the message lists them.
    """
    if found.problems:
        raise WeightsError(
            f"{path}: does not fit C3D ({found.format.title}); {'; '.join(found.problems)}"
        )
    model = skeleton(found.num_classes, found.width, found.temporal_depths, found.fc, pool5)
    state = {
        name: to_model(name, tensor, found.format.layout, found.fc6_order, copy=found.mapped)
        for name, tensor in found.tensors.items()
    }
    if found.num_classes == 0:
        state["fc8.weight"], state["fc8.bias"] = torch.zeros(0, found.fc), torch.zeros(0)
    model.load_state_dict(state, strict=True, assign=True)
    return model


def skeleton(
    num_classes: int, width: int, depths: Sequence[int], fc: int, pool5: Pool5 = "ceil"
) -> C3D:
    """A C3D whose parameters have shapes but no memory (torch's meta device)."""
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch remarks on an empty fc8
        return C3D(num_classes, width, depths, fc, pool5)


def to_model(
    name: str, tensor: Tensor, layout: Layout, fc6_order: Fc6Order, *, copy: bool = True
) -> Tensor:
    """One parameter from the file's layout to the model's, contiguous float32.

    With ``copy`` it is always new memory; without, a tensor that is right already is used as is.

    Kernels are only transposed, never flipped: every known port computes the same correlation.
    """
    if layout == "caffe":
        if name.endswith(".bias"):
            tensor = tensor.reshape(-1)
        elif name.startswith("fc"):
            tensor = tensor.reshape(tensor.shape[-2:])  # (1, 1, 1, out, in) -> (out, in)
    elif layout == "channels_last" and tensor.ndim == 5:
        tensor = tensor.permute(4, 3, 0, 1, 2)  # (t, h, w, in, out) -> (out, in, t, h, w)
    elif layout == "channels_last" and tensor.ndim == 2:
        if name == "fc6.weight" and fc6_order == "hwc":
            rows = tensor.reshape(*_POOL5_CELLS, -1, tensor.shape[1])  # (h, w, c, out)
            tensor = rows.permute(2, 0, 1, 3).reshape(tensor.shape)  # rows in c, h, w order
        tensor = tensor.t()  # (in, out) -> (out, in)
    return tensor.to(torch.float32, copy=copy).contiguous()


def source_shape(shape: Iterable[int], layout: Layout) -> tuple[int, ...]:
    """Shape in the file's layout of a parameter with ``shape`` in the model."""
    s = tuple(shape)
    if layout == "caffe" and len(s) < 5:
        return (1,) * (5 - len(s)) + s
    if layout == "channels_last" and len(s) == 5:
        return (s[2], s[3], s[4], s[1], s[0])
    if layout == "channels_last" and len(s) == 2:
        return (s[1], s[0])
    return s


def listed(names: Iterable[str], limit: int = _LISTED) -> str:
    """Names for an error line: the first few, then how many more."""
    all_names = [name if len(name) <= 120 else name[:117] + "..." for name in names]
    more = len(all_names) - limit
    return ", ".join(all_names[:limit]) + (f" and {more} more" if more > 0 else "")


_KINDS = ("weight", "bias")


def finite(tensor: Tensor) -> bool:
    """No NaN and no infinity, in one pass: the extremes pass both on."""
    low, high = torch.aminmax(tensor)
    return bool(torch.isfinite(low) and torch.isfinite(high))


def _sizes(tensors: dict[str, Tensor], layout: Layout) -> tuple[int, int, int, tuple[int, ...]]:
    """(width, fc, classes, depths) off the shapes; the paper's where a tensor is missing."""

    def size(name: str, axis: int, default: int) -> int:
        tensor = tensors.get(f"{name}.weight")
        if tensor is None:
            return default
        ndim = 5 if layout == "caffe" or name.startswith("conv") else 2
        return int(tensor.shape[axis]) if tensor.ndim == ndim else default

    last = layout == "channels_last"
    width = size("conv1a", 4 if last else 0, 64)
    depths = tuple(size(f"conv{k}a", 0 if last else 2, 3) for k in range(1, 6))
    out = {"caffe": 3, "channels_last": 1, "torch": 0}[layout]
    classes = size("fc8", out, 0)
    return width, size("fc6", out, 4096), classes, depths


def _shape_problems(
    tensors: dict[str, Tensor],
    wanted: dict[str, str],
    layout: Layout,
    width: int,
    fc: int,
    classes: int,
    depths: tuple[int, ...],
) -> list[str]:
    try:
        if min(width, fc, *depths) < 1:
            raise ShapeError("a size is zero")
        model = skeleton(max(classes, 1), width, depths, fc)
    except (ShapeError, RuntimeError, ValueError) as error:
        return [f"sizes no C3D can have (width {width}, fc {fc}, depths {depths}): {error}"]
    wrong = []
    for name, parameter in model.state_dict().items():
        if name not in tensors:
            continue
        expected = source_shape(parameter.shape, layout)
        if tuple(tensors[name].shape) != expected:
            wrong.append(f"{wanted[name]} is {tuple(tensors[name].shape)}, expected {expected}")
    return [f"wrong shape: {listed(wrong)}"] if wrong else []
