"""The package's own format: safetensors whose metadata carry the architecture and the input.

Tensors are named as in the model (``conv1a.weight`` ...), float16 or float32. The metadata are
JSON strings under ``classes, width, fc, temporal_depths, pool5, input``, and plain text under
``name`` and ``description``. All may be missing: sizes come from the tensors' shapes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from ..errors import WeightsError, printable
from ..files import whole_file
from ..nets import C3D, INPUT_SHAPE, InputSpec, ModelSpec, Pool5
from . import files
from .inputs import override_input

_CHECKED = ("channel_order", "mean", "scale", "resize", "crop", "std", "stride")
_STORED = (*_CHECKED, "frames")
_LEFT_OUT = {"std": None, "stride": 1}  # what need not be said


def save_model(
    path: str | Path, model: C3D, spec: ModelSpec, *, half: bool = True, description: str = ""
) -> Path:
    """Write a model in the own format, whole or not at all.

    Args:
        path: the file to write, by habit ``.safetensors``.
        model: any C3D.
        spec: input, classes and name are stored; the weights line is not (see ``description``).
        half: store float16 (half the size; about 3 decimal digits) instead of float32.
        description: what the weights are, one line; becomes the weights line when loaded.

    Raises:
        WeightsError: the input needs a mean volume, which the format does not carry.
        ExportError: the file cannot be written.
    """
    target = files.named(path)
    if spec.input.mean_volume is not None:
        raise WeightsError(
            f"{target}: the own format stores a mean per channel, not a mean volume; "
            f"replace mean_volume by None in the spec's input"
        )
    dtype = torch.float16 if half else torch.float32
    tensors = {k: v.detach().to("cpu", dtype).contiguous() for k, v in model.state_dict().items()}
    metadata = {
        "format": "c3d_viz",
        "name": spec.name,
        "classes": json.dumps(spec.classes),
        "width": json.dumps(model.width),
        "fc": json.dumps(model.fc),
        "temporal_depths": json.dumps(model.temporal_depths),
        "pool5": json.dumps(model.pool5_form),
        "input": json.dumps(
            {k: v for k in _STORED if (v := getattr(spec.input, k)) != _LEFT_OUT.get(k)}
        ),
        "description": description,
    }
    with whole_file(target) as part:
        save_file(tensors, part, metadata=metadata)
        part.chmod(0o644)  # safetensors leaves it to its owner alone
    return target


def metadata_classes(metadata: Mapping[str, str], path: Path) -> tuple[str, ...] | None:
    """Class names of the own format, None when it carries none."""
    value = _parse(metadata, "classes", path)
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise WeightsError(f"{path}: metadata 'classes' must be a JSON list of names")
    return tuple(printable(name[:200]) for name in value)


def metadata_pool5(metadata: Mapping[str, str], path: Path) -> Pool5:
    """pool5 form of the own format; "ceil" when it does not say."""
    value = _parse(metadata, "pool5", path)
    if value is None or value == "ceil":
        return "ceil"
    if value == "padded":
        return "padded"
    raise WeightsError(f"{path}: metadata 'pool5' must be 'ceil' or 'padded', got {value!r:.60}")


def metadata_input(metadata: Mapping[str, str], path: Path, default: InputSpec) -> InputSpec:
    """Input spec of the own format; fields it does not name come from ``default``."""
    value = _parse(metadata, "input", path)
    if value is None:
        return default
    if not isinstance(value, dict):
        raise WeightsError(f"{path}: metadata 'input' must be a JSON object")
    try:
        if unknown := value.keys() - {*_STORED, "mean_volume"}:
            raise WeightsError(f"unknown {', '.join(sorted(unknown))}")
        if value.get("frames", default.frames) != INPUT_SHAPE[1]:
            raise WeightsError(f"frames must be {INPUT_SHAPE[1]}")
        if not isinstance(value.get("mean", []), list):  # text would be the name of a file
            raise WeightsError("mean must be three numbers")
        given: dict[str, Any] = {k: value[k] for k in _CHECKED if k in value}
        return override_input(default, **given)
    except (TypeError, WeightsError) as error:
        reason = files.one_line(error)
        raise WeightsError(f"{path}: metadata 'input' cannot be used: {reason}") from None


def _parse(metadata: Mapping[str, str], key: str, path: Path) -> object:
    text = metadata.get(key)
    if text is None:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # no JSON, or a number of thousands of digits
        if key == "pool5":
            return text  # a bare word
        raise WeightsError(f"{path}: metadata {key!r} is not JSON: {text[:60]!r}") from None
