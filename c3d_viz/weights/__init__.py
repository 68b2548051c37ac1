"""Weights for C3D: the shipped compact nets, seeded random ones, and every known checkpoint.

``load_model`` is the one door: a file of any known format -> the network and what it expects.
The way of a file: ``files`` (size, kind) -> ``readers`` (named tensors) -> ``keymaps`` (which
format) -> ``assemble`` (strict check, transposes) -> model and spec. ``load_state`` reads a
state_dict into a network of any kind.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from torch import nn

from ..errors import WeightsError
from ..nets import C3D, ChannelOrder, ModelSpec, Pool5, initialise
from . import assemble, files
from .catalogue import MODELS, Architecture
from .fetch import DOWNLOADS, cache_folder, download
from .files import MAX_BYTES
from .inputs import override_input, read_classes, read_mean
from .keymaps import FORMATS, Fc6Order
from .own import save_model
from .raw import Raw
from .readers import read
from .report import LayerInfo, Report, format_report, inspect
from .state import LoadedState, load_state, read_state

__all__ = [
    "DOWNLOADS",
    "FORMATS",
    "MAX_BYTES",
    "MODELS",
    "Architecture",
    "LayerInfo",
    "LoadedState",
    "Raw",
    "Report",
    "cache_folder",
    "download",
    "format_report",
    "inspect",
    "load_model",
    "load_state",
    "read_mean",
    "read_state",
    "save_model",
]


RANDOM = "random"  # value of ``weights`` that asks for an untrained network
_FOLDER = Path(__file__).parent


def load_model(
    name: str = "compact",
    weights: str | Path | None = None,
    *,
    seed: int = 0,
    num_classes: int | None = None,
    channel_order: ChannelOrder | None = None,
    mean: str | Path | Sequence[float] | None = None,
    scale: float | None = None,
    resize: int | tuple[int, int] | None = None,
    crop: tuple[int, int] | None = None,
    pool5: Pool5 | None = None,
    classes: str | Path | Sequence[str] | None = None,
    fc6_order: Fc6Order | None = None,
    max_bytes: int = MAX_BYTES,
) -> tuple[C3D, ModelSpec]:
    """A network ready to look inside, and the spec of what it is and what it expects.

    The model is in eval mode, float32, on the CPU, and its parameters take no gradient (maps need
    the gradient of the input only); training calls ``model.requires_grad_(True).train()``.

    Args:
        name: ``compact`` (default), ``compact-2d`` or ``c3d``. With a file in a foreign format
            the model is ``c3d`` whatever the name.
        weights: a checkpoint of any known format, recognised by its content; its tensors give
            width, fc, temporal depths and classes. None loads the shipped weights, or random ones
            where none are shipped (``c3d``). "random" asks for random ones.
        seed: of random weights; the same seed gives the same weights.
        num_classes: length of the logits. A file with another number is an error; a file without
            a classifier gets a random fc8 of this length (none, and empty logits, without it).
        channel_order, mean, scale, resize, crop: override the format's preprocessing, see
            ``override_input``. ``mean`` is three numbers in channel order, or a .npy or
            .binaryproto volume.
        pool5: "ceil" or "padded", overrides the format's.
        classes: class names, a text file with one a line or a sequence.
        fc6_order: "chw" or "hwc", order of fc6's rows in a channels-last file.
        max_bytes: largest file that is read, and most it may unpack to.

    Raises:
        WeightsError: unknown name, no such file, damaged or hostile file, tensors that do not
            fit, or an override that makes no sense. One line that names the file.
    """
    if name not in MODELS:
        raise WeightsError(f"no model {name!r}; choose from {', '.join(MODELS)}")
    if pool5 not in (None, "ceil", "padded"):
        raise WeightsError(f"pool5 must be 'ceil' or 'padded', got {pool5!r}")
    if fc6_order not in (None, "chw", "hwc"):
        raise WeightsError(f"fc6_order must be 'chw' or 'hwc', got {fc6_order!r}")
    if num_classes is not None and num_classes < 1:
        raise WeightsError(f"num_classes must be at least 1, got {num_classes}")
    shipped = _FOLDER / f"{name}.safetensors"
    if weights == RANDOM or (weights is None and not shipped.is_file()):
        model, spec = _random(name, seed, num_classes, pool5)
    else:
        path = shipped if weights is None else Path(weights)
        model, spec = _load(name, path, num_classes, seed, pool5, fc6_order, max_bytes)
    names = spec.classes if classes is None else read_classes(classes, spec.num_classes)
    overridden = override_input(
        spec.input,
        channel_order=channel_order,
        mean=mean,
        scale=scale,
        resize=resize,
        crop=crop,
    )
    model.eval().requires_grad_(False)
    return model, dataclasses.replace(spec, classes=names, input=overridden)


def _random(
    name: str, seed: int, num_classes: int | None, pool5: Pool5 | None
) -> tuple[C3D, ModelSpec]:
    sizes = MODELS[name]
    classes = sizes.num_classes if num_classes is None else num_classes
    model = assemble.skeleton(
        classes, sizes.width, sizes.temporal_depths, sizes.fc, pool5 or "ceil"
    )
    model = model.to_empty(device="cpu")
    initialise(model, seed)
    spec = ModelSpec(
        name=name,
        weights=f"random weights (seed {seed}), untrained",
        trained=False,
        input=sizes.input,
        num_classes=classes,
        pool5=model.pool5_form,
    )
    return model, spec


def _load(
    name: str,
    path: Path,
    num_classes: int | None,
    seed: int,
    pool5: Pool5 | None,
    fc6_order: Fc6Order | None,
    max_bytes: int,
) -> tuple[C3D, ModelSpec]:
    raw = read(path, max_bytes)
    found = assemble.resolve(raw, path, fc6_order)
    spec = assemble.spec_of(found, raw, path, name, sha256=files.sha256(path))
    if num_classes is not None and found.num_classes not in (0, num_classes):
        raise WeightsError(
            f"{path}: has {found.num_classes} classes, not {num_classes}; leave num_classes out"
        )
    model = assemble.build(found, pool5 or spec.pool5, path)
    line, source = spec.weights, spec.source
    if found.num_classes == 0 and num_classes is not None:
        model.fc8 = nn.Linear(model.fc, num_classes)
        model.num_classes = num_classes
        initialise(model.fc8, seed)
        line += f", random fc8 (seed {seed})"
    if path.parent == _FOLDER:
        if not raw.metadata.get("description"):
            line = f"{name}: trained on procedural clips, {model.num_classes} classes"
        source = f"{path.name}, shipped with c3d_viz"
    spec = dataclasses.replace(
        spec,
        weights=line,
        source=source,
        num_classes=model.num_classes,
        pool5=model.pool5_form,
    )
    return model, spec
