"""Weights for C3D: the shipped compact nets, seeded random ones, and every known checkpoint.

``load_model`` is the one door: a file of any known format -> the network and what it expects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..errors import ShapeError, WeightsError
from ..models import C3D, initialise
from ..spec import CAFFE_INPUT, COMPACT_INPUT, ChannelOrder, InputSpec, ModelSpec, Pool5
from . import files, own
from .files import MAX_BYTES
from .own import save_model
from .readers import read

__all__ = ["MAX_BYTES", "MODELS", "Architecture", "load_model", "save_model"]


@dataclass(frozen=True)
class Architecture:
    """Sizes of a named model when no file says otherwise (see ``C3D``)."""

    width: int
    fc: int
    temporal_depths: tuple[int, int, int, int, int]
    num_classes: int
    input: InputSpec


MODELS: dict[str, Architecture] = {
    "compact": Architecture(16, 512, (3, 3, 3, 3, 3), 60, COMPACT_INPUT),
    "compact-2d": Architecture(16, 512, (1, 1, 1, 1, 1), 60, COMPACT_INPUT),
    "c3d": Architecture(64, 4096, (3, 3, 3, 3, 3), 487, CAFFE_INPUT),
}
SHIPPED = Path(__file__).parent


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
    pool5: Pool5 | None = None,
    max_bytes: int = MAX_BYTES,
) -> tuple[C3D, ModelSpec]:
    """A network ready to look inside, and the spec of what it is and what it expects."""
    if name not in MODELS:
        raise WeightsError(f"no model {name!r}; choose from {', '.join(MODELS)}")
    default = MODELS[name]
    shipped = SHIPPED / f"{name}.safetensors"
    path = Path(weights) if weights is not None else shipped if shipped.is_file() else None
    if path is None:
        classes = default.num_classes if num_classes is None else num_classes
        with torch.device("meta"):
            model = C3D(classes, default.width, default.temporal_depths, default.fc, pool5 or "ceil")
        model = model.to_empty(device="cpu")
        initialise(model, seed)
        spec = ModelSpec(
            name=name,
            weights=f"random weights (seed {seed}), untrained",
            trained=False,
            input=default.input,
            num_classes=classes,
            pool5=pool5 or "ceil",
        )
        return _ready(model), spec
    raw = read(path, max_bytes)
    tensors = {k: v.float() for k, v in raw.tensors.items()}
    form = pool5 or own.metadata_pool5(raw.metadata, path)
    model = _build(tensors, form, path)
    names = own.metadata_classes(raw.metadata, path)
    spec = ModelSpec(
        name=name,
        weights=raw.metadata.get("description") or f"{name}: {path.name}",
        trained=True,
        input=own.metadata_input(raw.metadata, path, COMPACT_INPUT),
        num_classes=model.num_classes,
        classes=names,
        pool5=form,
        source=str(path),
        sha256=files.sha256(path),
        format="c3d_viz",
    )
    return _ready(model), spec


def _build(tensors: dict[str, Tensor], pool5: Pool5, path: Path) -> C3D:
    try:
        depths = [tensors[f"conv{k}a.weight"].shape[2] for k in range(1, 6)]
        with torch.device("meta"):
            model = C3D(
                tensors["fc8.weight"].shape[0],
                tensors["conv1a.weight"].shape[0],
                depths,
                tensors["fc6.weight"].shape[0],
                pool5,
            )
        model.load_state_dict(tensors, strict=True, assign=True)
    except (KeyError, IndexError, RuntimeError, ShapeError) as error:
        raise WeightsError(f"{path}: does not fit C3D: {files.one_line(error)}") from None
    return model


def _ready(model: C3D) -> C3D:
    return model.eval().requires_grad_(False)
